//! SQL statements by their shape.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Basis, DRILL_STEPS, Example, Gather, Sampled, step_of, step_us};
use crate::model::{Span, SpanStatus, Window};
use crate::sketch::Sketch;
use crate::sql::fingerprint;

/// The most statements of an answer.
pub const MAX_STATEMENTS: usize = 500;
/// Statements that are told apart while spans are read; calls of others are counted together.
const MAX_GROUPS: usize = 5_000;
/// Services and routes of a statement that are told.
const MAX_NAMES: usize = 20;
/// Examples of one statement.
const MAX_EXAMPLES: usize = 10;
/// Who calls one statement, told apart.
const MAX_CALLERS: usize = 100;

/// The order of statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementOrder {
    /// By the time of all calls.
    #[default]
    Time,
    /// By how often it was called.
    Count,
    /// By how long a call took on average.
    Mean,
    /// By failed calls.
    Errors,
}

/// Which statements to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementsQuery {
    /// When the transactions began that called them.
    pub window: Window,
    /// Called by transactions of this route.
    pub route: Option<String>,
    /// Called by this service.
    pub service: Option<String>,
    /// One statement, with its details.
    pub id: Option<String>,
    /// The greatest first.
    #[serde(default)]
    pub order: StatementOrder,
    /// At most this many, capped by [`MAX_STATEMENTS`].
    pub limit: usize,
}

impl StatementsQuery {
    /// The 50 of a window that took most time.
    pub fn new(window: Window) -> Self {
        Self { window, route: None, service: None, id: None, order: StatementOrder::Time, limit: 50 }
    }
}

/// What a statement is called in addresses: the same for the same shape and database, in every process and version.
pub fn statement_id(system: Option<&str>, shape: &str) -> String {
    let hash = blake3::hash(format!("{}\0{shape}", system.unwrap_or_default()).as_bytes());
    hash.to_hex()[..16].to_owned()
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statement {
    /// See [`statement_id`].
    pub id: String,
    /// Its shape, without literals. Untrusted text.
    pub text: String,
    /// The database product, where it was told.
    pub system: Option<String>,
    /// Who called it, by falling time.
    pub services: Vec<String>,
    /// For which routes, by falling time.
    pub routes: Vec<String>,
    /// Calls.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// The time of all calls.
    pub total_us: u64,
    /// That of a call on average.
    pub mean_us: u64,
    /// Half of them took at most this long.
    pub p50_us: u64,
    /// 95 % of them took at most this long.
    pub p95_us: u64,
    /// 99 % of them took at most this long.
    pub p99_us: u64,
    /// The longest of those that were read.
    pub max_us: u64,
    /// Rows of all calls, returned or changed; `None` where no call told.
    pub rows: Option<u64>,
    /// Its part of the time of all statements, 0 to 1.
    pub share: f64,
    /// The slowest call that was read.
    pub example: Option<Example>,
    /// Of the one that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<StatementDetail>,
}

/// More about one statement.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementDetail {
    /// Who calls it, by falling time.
    pub callers: Vec<StatementCaller>,
    /// The length of a step of the two series.
    pub step_us: u64,
    /// Calls step by step; the first step begins with [`Basis::window`].
    pub counts: Vec<u64>,
    /// 95 % of the calls of each step took at most this long; 0 where there was none.
    pub p95_us: Vec<u64>,
    /// The slowest calls that were read, the slowest first.
    pub examples: Vec<Example>,
}

/// Who calls a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatementCaller {
    /// The route of the transaction.
    pub route: String,
    /// The service.
    pub service: String,
    /// Calls.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// The time of all calls.
    pub total_us: u64,
    /// 95 % of them took at most this long.
    pub p95_us: u64,
}

/// The statements of a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementAnswer {
    /// What it is made of.
    pub basis: Basis,
    /// In the order asked for.
    pub statements: Vec<Statement>,
    /// How many more there are.
    pub more: u64,
    /// The time of all statements.
    pub total_us: u64,
    /// Calls of statements beyond those that are told apart.
    pub left_out: u64,
}

#[derive(Default)]
struct Group {
    durations: Sketch,
    errors: u64,
    rows: Option<u64>,
    /// The time of each.
    services: BTreeMap<String, u64>,
    routes: BTreeMap<String, u64>,
    /// The slowest first.
    examples: Vec<Example>,
    /// Of the one that was asked for: by route and service; by step.
    callers: BTreeMap<(String, String), (Sketch, u64)>,
    steps: Vec<Sketch>,
}

/// Gathers statements.
pub(in crate::history) struct StatementGather {
    query: StatementsQuery,
    /// By database and shape.
    groups: HashMap<(Option<String>, String), Group>,
    left_out: u64,
}

impl StatementGather {
    pub(in crate::history) fn new(query: StatementsQuery) -> Self {
        Self { query, groups: HashMap::new(), left_out: 0 }
    }

    fn call(&mut self, of: &Sampled, span: &Span, sql: &str) {
        let system = span.db_system();
        let key = (system.map(str::to_owned), fingerprint(sql, system));
        let is_wanted = self.query.id.as_deref().map(|id| statement_id(key.0.as_deref(), &key.1) == id);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) && is_wanted != Some(true) {
            self.left_out = self.left_out.saturating_add(of.weight);
            return;
        }
        let window = self.query.window;
        let group = self.groups.entry(key).or_default();
        group.add(of, span, if is_wanted == Some(true) { MAX_EXAMPLES } else { 1 });
        if is_wanted == Some(true) {
            group.detail(window, of, span);
        }
    }

    pub(in crate::history) fn finish(self, basis: Basis) -> StatementAnswer {
        let Self { query, groups, left_out } = self;
        let all: u64 = groups.values().map(|group| group.durations.total()).fold(0, u64::saturating_add);
        let mut statements: Vec<Statement> =
            groups.into_iter().map(|(key, group)| group.finish(&basis, &query, key, all)).collect();
        if let Some(id) = &query.id {
            statements.retain(|statement| statement.id == *id);
        }
        let by = |statement: &Statement| match query.order {
            StatementOrder::Time => statement.total_us,
            StatementOrder::Count => statement.count,
            StatementOrder::Mean => statement.mean_us,
            StatementOrder::Errors => statement.errors,
        };
        statements.sort_by(|a, b| {
            let greatest = by(b).cmp(&by(a)).then_with(|| b.total_us.cmp(&a.total_us));
            greatest.then_with(|| (&a.text, &a.id).cmp(&(&b.text, &b.id)))
        });
        let limit = query.limit.clamp(1, MAX_STATEMENTS);
        let more = statements.len().saturating_sub(limit) as u64;
        statements.truncate(limit);
        StatementAnswer {
            statements,
            more,
            total_us: basis.scaled(all),
            left_out: basis.scaled(left_out),
            basis,
        }
    }
}

impl Gather for StatementGather {
    fn trace(&mut self, of: &Sampled, spans: &[Span]) {
        for span in spans {
            let wanted = self.query.service.as_ref().is_none_or(|service| *service == span.service);
            if let Some(sql) = span.sql().filter(|_| wanted) {
                self.call(of, span, sql);
            }
        }
    }
}

impl Group {
    fn add(&mut self, of: &Sampled, span: &Span, examples: usize) {
        self.durations.add_many(span.duration_us, of.weight);
        if span.status == SpanStatus::Error {
            self.errors = self.errors.saturating_add(of.weight);
        }
        let told = |name: &str| span.attributes.get(name).and_then(serde_json::Value::as_u64);
        if let Some(rows) = told("db.response.returned_rows").or_else(|| told("db.response.affected_rows")) {
            let rows = rows.saturating_mul(of.weight);
            self.rows = Some(self.rows.unwrap_or_default().saturating_add(rows));
        }
        let time_us = span.duration_us.saturating_mul(of.weight);
        for (names, name) in [(&mut self.services, &span.service), (&mut self.routes, &of.route)] {
            if let Some(time) = names.get_mut(name) {
                *time = time.saturating_add(time_us);
            } else if names.len() < MAX_CALLERS {
                names.insert(name.clone(), time_us);
            }
        }
        let at = self.examples.partition_point(|other| other.duration_us >= span.duration_us);
        if at < examples {
            self.examples.insert(at, Example::of(of, span));
            self.examples.truncate(examples);
        }
    }

    fn detail(&mut self, window: Window, of: &Sampled, span: &Span) {
        let key = (of.route.clone(), span.service.clone());
        if self.callers.len() < MAX_CALLERS || self.callers.contains_key(&key) {
            let caller = self.callers.entry(key).or_default();
            caller.0.add_many(span.duration_us, of.weight);
            caller.1 += if span.status == SpanStatus::Error { of.weight } else { 0 };
        }
        self.steps.resize(DRILL_STEPS as usize, Sketch::default());
        self.steps[step_of(window, span.start_us)].add_many(span.duration_us, of.weight);
    }

    fn finish(
        self,
        basis: &Basis,
        query: &StatementsQuery,
        (system, text): (Option<String>, String),
        all: u64,
    ) -> Statement {
        let durations = &self.durations;
        let id = statement_id(system.as_deref(), &text);
        let detail = (!self.steps.is_empty()).then(|| StatementDetail {
            callers: callers(basis, self.callers),
            step_us: step_us(query.window),
            counts: self.steps.iter().map(|step| basis.scaled(step.count())).collect(),
            p95_us: self.steps.iter().map(|step| step.percentile(95)).collect(),
            examples: self.examples.clone(),
        });
        Statement {
            id,
            text,
            system,
            services: greatest(self.services),
            routes: greatest(self.routes),
            count: basis.scaled(durations.count()),
            errors: basis.scaled(self.errors),
            total_us: basis.scaled(durations.total()),
            mean_us: durations.total() / durations.count().max(1),
            p50_us: durations.percentile(50),
            p95_us: durations.percentile(95),
            p99_us: durations.percentile(99),
            max_us: durations.max(),
            rows: self.rows.map(|rows| basis.scaled(rows)),
            share: durations.total() as f64 / all.max(1) as f64,
            example: self.examples.into_iter().next(),
            detail,
        }
    }
}

fn callers(basis: &Basis, callers: BTreeMap<(String, String), (Sketch, u64)>) -> Vec<StatementCaller> {
    let caller = |((route, service), (durations, errors)): (_, (Sketch, u64))| StatementCaller {
        route,
        service,
        count: basis.scaled(durations.count()),
        errors: basis.scaled(errors),
        total_us: basis.scaled(durations.total()),
        p95_us: durations.percentile(95),
    };
    let mut callers: Vec<_> = callers.into_iter().map(caller).collect();
    callers.sort_by_key(|caller| std::cmp::Reverse(caller.total_us));
    callers
}

/// Names by falling time.
fn greatest(times: BTreeMap<String, u64>) -> Vec<String> {
    let mut names: Vec<_> = times.into_iter().collect();
    names.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    names.into_iter().take(MAX_NAMES).map(|(name, _)| name).collect()
}
