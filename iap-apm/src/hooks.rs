//! The observer that the pipeline calls: [`ApmHooks`], and its running transaction.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use http::Method;
use iap_core::hooks::{Begin, Field, Finish, Recorder, SpanEnd, Stage};
use iap_core::{Connection, Hooks, SpanId, TraceContext, Transaction};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::await_point::Tasks;
use crate::collector::Command;
use crate::follow::Follow;
use crate::model::UNROUTED;
use crate::record::{Record, StageRecord, count};
use crate::shared::Shared;
use crate::stages::{self, Stages};
use crate::text::{Short, cut};

const MAX_PATH: usize = 2_048;
const MAX_HOST: usize = 255;
const MAX_FACT: usize = 256;
const NO_SLOT: usize = usize::MAX;

/// Records the transactions of a server. Cheap to clone; the recording goes on while any clone lives.
///
/// A request with a valid `traceparent` continues that trace, any other one begins a new trace. The
/// query string is not recorded, since it may hold secrets.
#[derive(Clone)]
pub struct ApmHooks {
    pub(crate) shared: Arc<Shared>,
    /// Keeps the collector running.
    pub(crate) _collector: mpsc::Sender<Command>,
}

impl fmt::Debug for ApmHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmHooks").finish_non_exhaustive()
    }
}

/// A running stage.
#[derive(Debug)]
pub struct ApmSpan {
    id: SpanId,
    parent: SpanId,
    stage: Stage,
    start: u64,
    /// Where the transaction was before.
    before: u64,
}

/// A running transaction; also what [`Transaction`] handles point to.
pub struct ApmTransaction {
    shared: Arc<Shared>,
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) start: u64,
    pub(crate) method: Method,
    /// Path and host.
    text: Short,
    path_len: usize,
    connection: Arc<Connection>,
    known: Mutex<Known>,
    /// The stage that it is in, and since when: see [`stages::place`].
    place: AtomicU64,
    slot: AtomicUsize,
    finished: AtomicBool,
    pub(crate) tasks: Tasks,
}

/// What becomes known on the way.
#[derive(Default)]
struct Known {
    facts: Facts,
    stages: Stages,
    /// Where the request went: the upstream, and the server of it.
    server: Option<[Arc<str>; 2]>,
}

/// What the collector takes of a transaction that is kept.
pub(crate) struct Taken {
    pub(crate) facts: Facts,
    pub(crate) stages: Stages,
}

/// What is said about a transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) route: Option<Arc<str>>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) session: Option<Box<str>>,
}

impl ApmTransaction {
    fn begin(shared: &Arc<Shared>, begin: &Begin<'_>) -> Arc<Self> {
        let context = match begin.parent {
            Some(parent) => parent.with_span(SpanId::random()),
            None => TraceContext::root(),
        };
        let path = cut(begin.path, MAX_PATH);
        let host = cut(begin.host, MAX_HOST);
        let transaction = Arc::new(Self {
            shared: shared.clone(),
            context,
            parent: begin.parent.map(|parent| parent.span_id),
            start: shared.ticks.raw(),
            method: begin.method.clone(),
            text: Short::of(path, host),
            path_len: path.len(),
            connection: begin.connection.clone(),
            known: Mutex::default(),
            place: AtomicU64::new(0),
            slot: AtomicUsize::new(NO_SLOT),
            finished: AtomicBool::new(false),
            tasks: Tasks::default(),
        });
        match shared.active.insert(&transaction, u64::from_be_bytes(context.span_id.0)) {
            Some(slot) => transaction.slot.store(slot, Ordering::Relaxed),
            None => count(&shared.rings.dropped.active, 1),
        }
        transaction
    }

    pub(crate) fn path(&self) -> &str {
        &self.text.as_str()[..self.path_len]
    }

    pub(crate) fn host(&self) -> &str {
        &self.text.as_str()[self.path_len..]
    }

    /// The client's address; `None` for a connection that is not known.
    pub(crate) fn client(&self) -> Option<std::net::IpAddr> {
        let ip = self.connection.peer().ip().to_canonical();
        (!ip.is_unspecified()).then_some(ip)
    }

    pub(crate) fn facts(&self) -> Facts {
        self.known.lock().facts.clone()
    }

    /// Whether it is one of those that are followed.
    pub(crate) fn is_of(&self, what: &Follow) -> bool {
        let known = self.known.lock();
        match what {
            Follow::User(user) => known.facts.user.as_deref() == Some(user),
            Follow::Session(session) => known.facts.session.as_deref() == Some(session),
            Follow::Client(client) => self.client() == Some(client.to_canonical()),
            Follow::Route(route) => known.facts.route() == route,
        }
    }

    /// Looks at the route without copying it.
    pub(crate) fn with_route<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        look(self.known.lock().facts.route())
    }

    /// What is known, to be written. Stages that end later go through the ring.
    pub(crate) fn take(&self) -> Taken {
        let facts = self.facts();
        Taken { facts, stages: self.close() }
    }

    /// The stages that have ended until now; later ones go through the ring.
    pub(crate) fn close(&self) -> Stages {
        std::mem::replace(&mut self.known.lock().stages, Stages::closed())
    }

    /// The stage that it is in, and the ticks since it began.
    pub(crate) fn stage(&self, now: u64) -> Option<(&'static str, u64)> {
        let place = self.place.load(Ordering::Relaxed);
        stages::at(place, now)
    }

    /// The upstream and the server that it was sent to last.
    pub(crate) fn server(&self) -> Option<[Arc<str>; 2]> {
        self.known.lock().server.clone()
    }

    /// The stages that have ended until now; later ones are held again.
    pub(crate) fn take_stages(&self) -> Stages {
        std::mem::take(&mut self.known.lock().stages)
    }

    /// Notes a stage that begins; says where the transaction was before.
    fn enter(&self, stage: &Stage, at: u64) -> u64 {
        let before = self.place.load(Ordering::Relaxed);
        self.place.store(stages::place(stage, at), Ordering::Relaxed);
        before
    }

    fn leave(&self) {
        let slot = self.slot.load(Ordering::Relaxed);
        self.shared.active.remove((slot != NO_SLOT).then_some(slot));
    }

    fn store(&self, id: SpanId, parent: SpanId, stage: Stage, start: u64, end: SpanEnd) {
        let SpanEnd { status, error, detail } = end;
        let end = self.shared.ticks.raw();
        let stage = StageRecord { id, parent, start, end, stage, status, error, detail };
        let refused = self.known.lock().stages.hold(stage);
        if let Some(stage) = refused {
            self.shared.rings.push(Record::Stage { trace_id: self.context.trace_id, stage });
        }
    }
}

impl fmt::Debug for ApmTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmTransaction")
            .field("context", &self.context)
            .field("method", &self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Drop for ApmTransaction {
    fn drop(&mut self) {
        if !*self.finished.get_mut() {
            self.leave();
            count(&self.shared.rings.dropped.unfinished, 1);
            let trace_id = self.context.trace_id;
            for stage in std::mem::take(&mut self.known.get_mut().stages) {
                self.shared.rings.push(Record::Stage { trace_id, stage });
            }
        }
    }
}

impl Recorder for ApmTransaction {
    fn context(&self) -> TraceContext {
        self.context
    }

    fn now(&self) -> u64 {
        self.shared.ticks.raw()
    }

    fn entered(&self, stage: &Stage, at: u64) -> u64 {
        self.enter(stage, at)
    }

    fn left(&self, before: u64) {
        self.place.store(before, Ordering::Relaxed);
    }

    fn record(&self, id: SpanId, parent: SpanId, stage: Stage, started: u64, end: SpanEnd) {
        self.store(id, parent, stage, started, end);
    }

    fn set(&self, field: Field, value: &str) {
        let value = Some(cut(value, MAX_FACT).into());
        let mut known = self.known.lock();
        match field {
            Field::User => known.facts.user = value,
            Field::Session => known.facts.session = value,
            _ => {}
        }
    }

    fn suspended(&self, task: &Waker) {
        self.tasks.suspended(task);
    }

    fn ended(&self, task: &Waker) {
        self.tasks.ended(task);
    }

    fn is_asked(&self) -> bool {
        self.tasks.is_asked()
    }

    fn found(&self, task: &Waker, stacks: Vec<Backtrace>) {
        self.tasks.found(task, stacks);
    }
}

impl Hooks for ApmHooks {
    const ENABLED: bool = true;
    type Transaction = Arc<ApmTransaction>;
    type Span = ApmSpan;

    fn begin(&self, begin: &Begin<'_>) -> Self::Transaction {
        ApmTransaction::begin(&self.shared, begin)
    }

    fn context(&self, transaction: &Self::Transaction) -> Option<TraceContext> {
        Some(transaction.context)
    }

    fn handle(&self, transaction: &Self::Transaction) -> Option<Transaction> {
        Some(Transaction::new(transaction.clone()))
    }

    fn routed(&self, transaction: &Self::Transaction, route: &Arc<str>) {
        transaction.known.lock().facts.route = Some(route.clone());
    }

    fn reached(&self, transaction: &Self::Transaction, upstream: &Arc<str>, server: &Arc<str>) {
        transaction.known.lock().server = Some([upstream.clone(), server.clone()]);
    }

    fn start(&self, transaction: &Self::Transaction, stage: Stage, parent: Option<SpanId>) -> ApmSpan {
        let parent = parent.unwrap_or(transaction.context.span_id);
        let start = self.shared.ticks.raw();
        let before = transaction.enter(&stage, start);
        ApmSpan { id: SpanId::random(), parent, stage, start, before }
    }

    fn span_id(&self, span: &ApmSpan) -> Option<SpanId> {
        Some(span.id)
    }

    fn end(&self, transaction: &Self::Transaction, span: ApmSpan, end: SpanEnd) {
        transaction.left(span.before);
        transaction.store(span.id, span.parent, span.stage, span.start, end);
    }

    fn finish(&self, transaction: Self::Transaction, finish: Finish) {
        if transaction.finished.swap(true, Ordering::Relaxed) {
            return;
        }
        transaction.leave();
        transaction.tasks.close();
        let end = self.shared.ticks.raw();
        self.shared.rings.push(Record::Finished { transaction, end, finish });
    }
}

impl Facts {
    pub(crate) fn route(&self) -> &str {
        self.route.as_deref().unwrap_or(UNROUTED)
    }
}
