//! Who calls whom.

use std::collections::{BTreeMap, HashMap, HashSet};

use iap_core::SpanId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Basis, Gather, Sampled};
use crate::model::{Span, SpanKind, SpanStatus};
use crate::sketch::Sketch;
use crate::text::cut;

/// The most edges of a map.
pub const MAX_EDGES: usize = 500;
/// Edges that are told apart while spans are read.
const MAX_KNOWN: usize = 2_000;
/// Bytes of a name.
const MAX_NAME: usize = 200;
/// How deep a call may lie below the one that it is a part of, in spans.
const MAX_ABOVE: usize = 32;

/// What a place on a map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Who sends requests from outside.
    Clients,
    /// A service that reports spans.
    Service,
    /// A server of ours to which requests are passed on, and which reports nothing.
    Upstream,
    /// A database.
    Database,
    /// Where sessions are.
    SessionStore,
    /// A queue or a topic.
    Queue,
    /// A host that is called and reports nothing.
    External,
}

impl NodeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Service => "service",
            Self::Upstream => "upstream",
            Self::Database => "database",
            Self::SessionStore => "session_store",
            Self::Queue => "queue",
            Self::External => "external",
        }
    }
}

/// A place on the map, with all calls that it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceNode {
    /// Kind and name, joined by `:`.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// What it is called. Untrusted text.
    pub name: String,
    /// Calls; none of who only calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Half of them took at most this long.
    pub p50_us: u64,
    /// 95 % of them took at most this long.
    pub p95_us: u64,
}

/// Calls from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edge {
    /// The id of the caller.
    pub from: String,
    /// The id of who is called.
    pub to: String,
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// The time of all calls.
    pub total_us: u64,
    /// Half of them took at most this long.
    pub p50_us: u64,
    /// 95 % of them took at most this long.
    pub p95_us: u64,
}

/// Who calls whom in a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ServiceMap {
    /// What it is made of.
    pub basis: Basis,
    /// By id.
    pub nodes: Vec<ServiceNode>,
    /// By falling number of calls.
    pub edges: Vec<Edge>,
    /// How many more edges there are.
    pub more: u64,
}

type Place = (NodeKind, String);

#[derive(Default)]
struct Calls {
    durations: Sketch,
    errors: u64,
}

impl Calls {
    fn add(&mut self, span: &Span, weight: u64) {
        self.durations.add_many(span.duration_us, weight);
        if span.status == SpanStatus::Error {
            self.errors = self.errors.saturating_add(weight);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.durations.merge(&other.durations);
        self.errors = self.errors.saturating_add(other.errors);
    }
}

/// Gathers calls.
#[derive(Default)]
pub(in crate::history) struct EdgeGather {
    edges: BTreeMap<(Place, Place), Calls>,
    left_out: HashSet<u64>,
}

impl EdgeGather {
    fn call(&mut self, from: Place, to: Place, span: &Span, weight: u64) {
        let key = (from, to);
        if self.edges.len() < MAX_KNOWN || self.edges.contains_key(&key) {
            self.edges.entry(key).or_default().add(span, weight);
        } else if self.left_out.len() < MAX_KNOWN {
            let hash = blake3::hash(format!("{key:?}").as_bytes());
            self.left_out.insert(u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("32 bytes")));
        }
    }

    pub(in crate::history) fn finish(self, basis: Basis) -> ServiceMap {
        let mut all: Vec<_> = self.edges.into_iter().collect();
        // Of equals the first by name.
        all.sort_by_key(|(_, calls)| std::cmp::Reverse(calls.durations.count()));
        let more = (all.len().saturating_sub(MAX_EDGES) + self.left_out.len()) as u64;
        all.truncate(MAX_EDGES);
        let mut nodes: BTreeMap<Place, Calls> = BTreeMap::new();
        let edge = |((from, to), calls): ((Place, Place), Calls)| {
            nodes.entry(from.clone()).or_default();
            nodes.entry(to.clone()).or_default().merge(&calls);
            let durations = &calls.durations;
            Edge {
                from: id(&from),
                to: id(&to),
                calls: basis.scaled(durations.count()),
                errors: basis.scaled(calls.errors),
                total_us: basis.scaled(durations.total()),
                p50_us: durations.percentile(50),
                p95_us: durations.percentile(95),
            }
        };
        let edges = all.into_iter().map(edge).collect();
        let node = |(place, calls): (Place, Calls)| ServiceNode {
            id: id(&place),
            kind: place.0,
            name: place.1,
            calls: basis.scaled(calls.durations.count()),
            errors: basis.scaled(calls.errors),
            p50_us: calls.durations.percentile(50),
            p95_us: calls.durations.percentile(95),
        };
        let nodes = nodes.into_iter().map(node).collect();
        ServiceMap { basis, nodes, edges, more }
    }
}

impl Gather for EdgeGather {
    fn trace(&mut self, of: &Sampled, spans: &[Span]) {
        let by_id: HashMap<SpanId, &Span> = spans.iter().map(|span| (span.span_id, span)).collect();
        let parent = |span: &Span| span.parent_id.and_then(|id| by_id.get(&id).copied());
        let answered = answered(spans, &parent);
        for span in spans {
            let here = || (NodeKind::Service, cut(&span.service, MAX_NAME).to_owned());
            let above = parent(span);
            let takes = matches!(span.kind, SpanKind::Server | SpanKind::Consumer);
            match above {
                Some(above) if above.service != span.service => {
                    let from = (NodeKind::Service, cut(&above.service, MAX_NAME).to_owned());
                    self.call(from, here(), span, of.weight);
                }
                // One that calls itself over the network.
                Some(above) if takes && above.kind == SpanKind::Client => {
                    self.call(here(), here(), span, of.weight);
                }
                None if takes && of.entries.contains(&span.span_id) => {
                    self.call((NodeKind::Clients, String::new()), here(), span, of.weight);
                }
                _ => {}
            }
            if !answered.contains(&span.span_id)
                && let Some(peer) = peer(span)
                && !is_within(span, &peer, &parent)
            {
                self.call(here(), peer, span, of.weight);
            }
        }
    }
}

/// The calls to which another service has told its side.
fn answered<'a>(spans: &'a [Span], parent: &impl Fn(&Span) -> Option<&'a Span>) -> HashSet<SpanId> {
    let mut answered = HashSet::new();
    for span in spans {
        let Some(above) = parent(span) else { continue };
        let takes = matches!(span.kind, SpanKind::Server | SpanKind::Consumer);
        if above.service == span.service && !(takes && above.kind == SpanKind::Client) {
            continue;
        }
        answered.insert(above.span_id);
        // The gateway's stage is beside what the other one says, below the same transaction.
        let stages = spans.iter().filter(|stage| {
            stage.name == "upstream" && stage.service == above.service && stage.parent_id == span.parent_id
        });
        let around = |stage: &&Span| stage.start_us <= span.end_us() && span.start_us <= stage.end_us();
        answered.extend(stages.filter(around).map(|stage| stage.span_id));
    }
    answered
}

/// Whether a call is a part of another one to the same place, as a driver's below a library's, or a command to the session
/// store of the stage that asks it.
fn is_within<'a>(span: &Span, peer: &Place, parent: &impl Fn(&Span) -> Option<&'a Span>) -> bool {
    let mut above = parent(span);
    for _ in 0..MAX_ABOVE {
        match above {
            Some(other) if other.service == span.service => {
                let whole = self::peer(other);
                if whole.as_ref() == Some(peer)
                    || whole.is_some_and(|(kind, _)| kind == NodeKind::SessionStore)
                {
                    return true;
                }
                above = parent(other);
            }
            _ => return false,
        }
    }
    false
}

/// Whom a span has called, where that one does not report for itself.
fn peer(span: &Span) -> Option<Place> {
    let named = |kind, name: &str| Some((kind, cut(name, MAX_NAME).to_owned()));
    let text = |names: &[&str]| names.iter().find_map(|name| span.text(name));
    let address = text(&["server.address", "net.peer.name", "peer.service", "network.peer.address"]);
    if span.sql().is_some() || span.db_system().is_some() {
        let database = text(&["db.namespace", "db.name"]).or(address);
        let system = span.db_system().unwrap_or("sql");
        return match database {
            Some(database) => named(NodeKind::Database, &format!("{system}/{database}")),
            None => named(NodeKind::Database, system),
        };
    }
    match (span.kind, span.name.as_str()) {
        (SpanKind::Internal, "session.load" | "session.commit") => named(NodeKind::SessionStore, "sessions"),
        (SpanKind::Client, "upstream") => named(NodeKind::Upstream, address?),
        (SpanKind::Client, "upstream.connect") => None,
        (SpanKind::Producer, _) => {
            let queue = text(&["messaging.destination.name", "messaging.destination", "messaging.system"])?;
            named(NodeKind::Queue, queue)
        }
        (SpanKind::Client, _) => {
            let host = || host_of(text(&["url.full", "http.url"])?);
            named(NodeKind::External, address.or_else(host).or_else(|| span.text("rpc.service"))?)
        }
        _ => None,
    }
}

/// The host of an address, which may hold secrets elsewhere.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    Some(authority.rsplit('@').next().unwrap_or(authority)).filter(|host| !host.is_empty())
}

fn id((kind, name): &Place) -> String {
    if name.is_empty() { kind.as_str().to_owned() } else { format!("{}:{name}", kind.as_str()) }
}
