//! Writers, and what they know of their writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iap_session::{
    Commit, Expiry, Loaded, NewSession, Op, OpId, Reason, Record, SessionKey, SessionStore, StoreError,
    StoreErrorKind,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No call may last so long, whatever has broken.
const ENDLESS: Duration = Duration::from_secs(60);
const WRITERS: usize = 8;
const SLICE_MS: u128 = 50;
/// What a session may hold: the slices of a long drill.
pub(crate) const ATTRIBUTES: usize = 4000;

/// A number for each writer.
type Counts = Arc<Vec<AtomicU64>>;

/// A write that was acknowledged. Writes of different slices of time go to different attributes, so that
/// one that was lost is not covered by a later one.
struct Acknowledged {
    value: u64,
    slice: u128,
    at: Instant,
}

fn slice_name(slice: u128) -> String {
    format!("slice{slice}")
}

/// What one writer knows.
struct Book {
    key: SessionKey,
    acknowledged: Vec<Acknowledged>,
    attempted: u64,
    ambiguous: u64,
    not_durable: u64,
    refused: u64,
    gone: u64,
    worst: Duration,
}

/// A load on a store.
pub(crate) struct Load {
    store: Arc<dyn SessionStore>,
    writers: Vec<JoinHandle<Book>>,
    progress: Counts,
    gone: Counts,
    unsafe_writes: Counts,
    stop: Arc<AtomicBool>,
    ended: Vec<SessionKey>,
    broken: Option<Instant>,
    recovery: Option<Duration>,
}

/// The books of a whole drill, balanced.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) attempted: u64,
    pub(crate) acknowledged: u64,
    pub(crate) ambiguous: u64,
    pub(crate) not_durable: u64,
    pub(crate) refused: u64,
    pub(crate) gone: u64,
    /// Acknowledged, and not there afterwards.
    pub(crate) lost: u64,
    /// How long before the fault the oldest lost write was acknowledged.
    pub(crate) window: Duration,
    /// Sessions that are not there afterwards.
    pub(crate) missing: u64,
    pub(crate) worst: Duration,
    pub(crate) recovery: Duration,
}

impl Load {
    /// Creates a session for each writer, ends some others, and begins to write.
    pub(crate) async fn start(store: Arc<dyn SessionStore>) -> Self {
        let mut ended = Vec::new();
        for _ in 0..4 {
            let key = create(&store, Expiry::default()).await;
            store.revoke(key, Reason::Operator).await.unwrap();
            ended.push(key);
            let short = Expiry { idle: Duration::from_millis(200), ..Expiry::default() };
            ended.push(create(&store, short).await);
        }
        for key in &ended {
            until("a session ends", async || !is_live(&store, *key).await).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let counters = || Arc::new((0..WRITERS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let (progress, gone, unsafe_writes) = (counters(), counters(), counters());
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let key = create(&store, Expiry::default()).await;
            let told = (progress.clone(), gone.clone(), unsafe_writes.clone());
            writers.push(tokio::spawn(write(store.clone(), key, told, number, stop.clone())));
        }
        let load =
            Self { store, writers, progress, gone, unsafe_writes, stop, ended, broken: None, recovery: None };
        load.progresses(20).await;
        load
    }

    /// Notes that something breaks now.
    pub(crate) fn breaks(&mut self) {
        self.broken = Some(Instant::now());
    }

    /// Waits until every writer has made so many further writes that were acknowledged.
    pub(crate) async fn progresses(&self, writes: u64) {
        let goals: Vec<u64> = self.progress.iter().map(|now| now.load(Ordering::SeqCst) + writes).collect();
        until("all writers make progress", async || {
            let pairs = self.progress.iter().zip(&goals);
            pairs.into_iter().all(|(now, goal)| now.load(Ordering::SeqCst) >= *goal)
        })
        .await;
    }

    /// Waits until all writers are acknowledged again, and notes how long it took.
    pub(crate) async fn recovers(&mut self) {
        self.progresses(1).await;
        self.recovery = self.broken.map(|broken| broken.elapsed());
        self.progresses(20).await;
    }

    /// Waits until every writer is told that its session is gone, 20 times.
    pub(crate) async fn gone(&self) {
        until("all writers are told", async || {
            self.gone.iter().all(|told| told.load(Ordering::SeqCst) >= 20)
        })
        .await;
    }

    /// Waits until every writer is told again that its write is not durable.
    pub(crate) async fn is_not_durable(&self) {
        let before: Vec<u64> = self.unsafe_writes.iter().map(|told| told.load(Ordering::SeqCst)).collect();
        until("all writers are told", async || {
            let mut pairs = self.unsafe_writes.iter().zip(&before);
            pairs.all(|(now, before)| now.load(Ordering::SeqCst) > *before)
        })
        .await;
    }

    /// Waits until every writer's writes are done again, confirmed or not.
    pub(crate) async fn answers(&mut self) {
        let done = |number: usize| {
            let count = |counts: &Counts| counts[number].load(Ordering::SeqCst);
            count(&self.progress) + count(&self.unsafe_writes)
        };
        let goals: Vec<u64> = (0..WRITERS).map(|number| done(number) + 1).collect();
        until("all writers are answered", async || (0..WRITERS).all(|number| done(number) >= goals[number]))
            .await;
        self.recovery = self.broken.map(|broken| broken.elapsed());
    }

    /// Ends the load and balances the books. What had ended before the fault has to stay ended.
    pub(crate) async fn balance(self, name: &str) -> Ledger {
        self.stop.store(true, Ordering::SeqCst);
        let mut ledger = Ledger { recovery: self.recovery.unwrap_or_default(), ..Ledger::default() };
        for writer in self.writers {
            let book = writer.await.unwrap();
            let stored = stored(&self.store, book.key).await;
            match stored {
                None => ledger.missing += 1,
                Some(record) => {
                    let acknowledged = book.acknowledged.len() as u64;
                    let (written, most) =
                        (record.version - 1, acknowledged + book.ambiguous + book.not_durable);
                    assert!(written <= most, "{name}: {written} versions of {most} writes: one was repeated");
                    let is_lost = |write: &&Acknowledged| {
                        let found = record.attributes.get(&slice_name(write.slice));
                        found.and_then(serde_json::Value::as_u64).is_none_or(|found| found < write.value)
                    };
                    let lost: Vec<_> = book.acknowledged.iter().filter(is_lost).collect();
                    ledger.lost += (lost.len() as u64).max(acknowledged.saturating_sub(written));
                    if let (Some(oldest), Some(broken)) = (lost.first(), self.broken) {
                        ledger.window = ledger.window.max(broken.saturating_duration_since(oldest.at));
                    }
                }
            }
            ledger.attempted += book.attempted;
            ledger.acknowledged += book.acknowledged.len() as u64;
            ledger.ambiguous += book.ambiguous;
            ledger.not_durable += book.not_durable;
            ledger.refused += book.refused;
            ledger.gone += book.gone;
            ledger.worst = ledger.worst.max(book.worst);
        }
        for key in self.ended {
            assert!(!is_live(&self.store, key).await, "{name}: a session that had ended lives again");
            let late = answered(|| self.store.commit(key, commit(1))).await.expect_err("it has ended");
            assert!(matches!(late.kind(), StoreErrorKind::Gone | StoreErrorKind::Revoked), "{late:?}");
        }
        ledger.print(name);
        ledger
    }
}

impl Ledger {
    fn print(&self, name: &str) {
        println!(
            "LEDGER | {name} | {} | {} | {} | {} | {} | {} ms | {} ms | {} ms |",
            self.acknowledged,
            self.ambiguous,
            self.not_durable,
            self.refused,
            self.lost,
            self.window.as_millis(),
            self.worst.as_millis(),
            self.recovery.as_millis(),
        );
    }

    /// Nothing that was acknowledged is missing.
    pub(crate) fn nothing_lost(&self) {
        assert_eq!((self.lost, self.missing, self.gone), (0, 0, 0), "{self:?}");
        assert!(self.acknowledged > 0);
    }
}

async fn write(
    store: Arc<dyn SessionStore>,
    key: SessionKey,
    (progress, gone, unsafe_writes): (Counts, Counts, Counts),
    number: usize,
    stop: Arc<AtomicBool>,
) -> Book {
    let mut book = Book {
        key,
        acknowledged: Vec::new(),
        attempted: 0,
        ambiguous: 0,
        not_durable: 0,
        refused: 0,
        gone: 0,
        worst: Duration::ZERO,
    };
    let started = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        book.attempted += 1;
        let begun = Instant::now();
        let slice = started.elapsed().as_millis() / SLICE_MS;
        let ops = vec![Op::Set(slice_name(slice), book.attempted.into())];
        let write = Commit { ops, ..commit(0) };
        let result = timeout(ENDLESS, store.commit(key, write)).await;
        book.worst = book.worst.max(begun.elapsed());
        match result.expect("a call ends") {
            Ok(_) => {
                book.acknowledged.push(Acknowledged { value: book.attempted, slice, at: Instant::now() });
                progress[number].fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => match error.kind() {
                StoreErrorKind::Ambiguous => book.ambiguous += 1,
                StoreErrorKind::NotDurable => {
                    book.not_durable += 1;
                    unsafe_writes[number].fetch_add(1, Ordering::SeqCst);
                }
                StoreErrorKind::Unavailable => book.refused += 1,
                StoreErrorKind::Gone => {
                    book.gone += 1;
                    gone[number].fetch_add(1, Ordering::SeqCst);
                }
                _ => panic!("an outage is not {error:?}"),
            },
        }
        // A pace that leaves the machine time for what breaks.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    book
}

pub(crate) fn commit(value: u64) -> Commit {
    let ops = vec![Op::Set("count".into(), value.into())];
    Commit { op: OpId::random(), ops, expected: None, logout: false }
}

pub(crate) async fn create(store: &Arc<dyn SessionStore>, expiry: Expiry) -> SessionKey {
    answered(|| store.create(NewSession::new(expiry))).await.expect("a session is created").record.key
}

/// A session as it is stored, once the store answers.
async fn stored(store: &Arc<dyn SessionStore>, key: SessionKey) -> Option<Arc<Record>> {
    match answered(|| store.load(key, None)).await.expect("the session was not ended") {
        Some(Loaded::Found { record, .. }) => Some(record),
        _ => None,
    }
}

async fn is_live(store: &Arc<dyn SessionStore>, key: SessionKey) -> bool {
    match answered(|| store.load(key, None)).await {
        Ok(found) => found.is_some(),
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Revoked, "{error:?}");
            false
        }
    }
}

/// Asks until there is an answer.
pub(crate) async fn answered<T, F>(mut ask: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let give_up = Instant::now() + ENDLESS;
    loop {
        match timeout(ENDLESS, ask()).await.expect("a call ends") {
            Err(error) if error.is_retryable() && Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + ENDLESS;
    while !holds().await {
        assert!(Instant::now() < give_up, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
