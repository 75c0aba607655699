//! A breaker in front of a store: while the store is away, nobody waits for it.
//!
//! Reads and writes are judged apart, since a store that is full or has lost its right to write still
//! serves reads. A circuit opens when nothing has succeeded for a while and several calls have failed in
//! that time, so that one node of a cluster, or one slow command, opens nothing. Then calls fail at once
//! as [`Unavailable`](crate::StoreErrorKind::Unavailable), nothing having been sent; after a pause one
//! call may try, and if it succeeds the circuit closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionIds, SessionKey};
use crate::limits::Limits;
use crate::record::{Created, Loaded};
use crate::store::{
    BoxFuture, ChangeListener, Pressure, ScanPage, ScanQuery, SessionStore, StoreStats, Watched,
};
use crate::write::{Commit, Imported, NewSession, Reason, Rotation};

/// When a [`Breaker`] opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// How many calls have to fail with none succeeding between them. Default 5.
    pub failures: u32,
    /// How long nothing may have succeeded meanwhile, from the first failure. Default one second.
    pub after: Duration,
    /// How long calls fail at once before one may try. Default one second.
    pub pause: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, after: Duration::from_secs(1), pause: Duration::from_secs(1) }
    }
}

/// A store behind a breaker. See the [module page](self).
///
/// ```
/// use iap_session::{Breaker, BreakerConfig, MemoryStore, SessionIds};
///
/// let store = Breaker::new(MemoryStore::new(SessionIds::ephemeral()), BreakerConfig::default());
/// ```
pub struct Breaker<S> {
    store: S,
    reads: Circuit,
    writes: Circuit,
}

struct Circuit {
    config: BreakerConfig,
    state: Mutex<State>,
    open: Gauge,
    rejected: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Failures since the first one, and when that was.
    Failing(u32, Instant),
    Open(Instant),
    /// One call tries.
    HalfOpen,
}

/// A call on its way. Given up half way, it says nothing; a try is then free for another.
struct Call<'a> {
    circuit: &'a Circuit,
    tries: bool,
}

impl<S: SessionStore> Breaker<S> {
    /// Puts a breaker in front of `store`.
    pub fn new(store: S, config: BreakerConfig) -> Self {
        crate::metrics::describe_metrics();
        Self { store, reads: Circuit::new(config, "read"), writes: Circuit::new(config, "write") }
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a S) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.reads.pass(|| call(&self.store))
    }

    fn write<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a S) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.writes.pass(|| call(&self.store))
    }
}

impl Circuit {
    fn new(config: BreakerConfig, side: &'static str) -> Self {
        let open = gauge!("iap_session_breaker_open", "side" => side);
        open.set(0.0);
        let rejected = counter!("iap_session_breaker_rejected_total", "side" => side);
        Self { config, state: Mutex::new(State::Closed), open, rejected }
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let Some(pass) = self.enter() else {
            self.rejected.increment(1);
            let error = StoreError::new(StoreErrorKind::Unavailable, "the session store is away: not asked");
            return Box::pin(std::future::ready(Err(error)));
        };
        let call = call();
        Box::pin(async move {
            let result = call.await;
            pass.ended(&result);
            result
        })
    }

    fn enter(&self) -> Option<Call<'_>> {
        let mut state = self.state.lock();
        let tries = match *state {
            State::Closed | State::Failing(..) => false,
            State::Open(since) if since.elapsed() >= self.config.pause => {
                *state = State::HalfOpen;
                true
            }
            State::Open(_) | State::HalfOpen => return None,
        };
        Some(Call { circuit: self, tries })
    }

    fn open(&self, state: &mut State) {
        *state = State::Open(Instant::now());
        self.open.set(1.0);
    }
}

impl Call<'_> {
    fn ended<T>(mut self, result: &Result<T, StoreError>) {
        let tries = std::mem::take(&mut self.tries);
        let failed = result.as_ref().is_err_and(|error| {
            matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous)
        });
        let circuit = self.circuit;
        let mut state = circuit.state.lock();
        match (*state, failed) {
            // A call from before that ends late decides nothing.
            (State::Open(_) | State::HalfOpen, _) if !tries => {}
            (_, false) => {
                *state = State::Closed;
                circuit.open.set(0.0);
            }
            (State::Closed, true) => *state = State::Failing(1, Instant::now()),
            (State::Failing(count, since), true) => {
                let count = count.saturating_add(1);
                if count >= circuit.config.failures && since.elapsed() >= circuit.config.after {
                    circuit.open(&mut state);
                    tracing::warn!("the session store is away: it is asked again from time to time");
                } else {
                    *state = State::Failing(count, since);
                }
            }
            (State::Open(_) | State::HalfOpen, true) => circuit.open(&mut state),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.circuit.open(&mut self.circuit.state.lock());
        }
    }
}

impl<S: SessionStore> SessionStore for Breaker<S> {
    fn ids(&self) -> &SessionIds {
        self.store.ids()
    }
    fn limits(&self) -> &Limits {
        self.store.limits()
    }
    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.write(|store| store.create(new))
    }
    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.read(|store| store.load(key, known))
    }
    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.write(|store| store.commit(key, commit))
    }
    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(|store| store.touch(key))
    }
    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.write(|store| store.rotate(key, rotation))
    }
    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.write(|store| store.revoke(key, reason))
    }
    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.write(|store| store.import(key, imported))
    }
    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(|store| store.settle(key, grace))
    }
    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        self.read(|store| store.scan(query))
    }
    /// Not held up: whoever asks for this wants to know whether the store is there.
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.store.stats()
    }
    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        self.store.pressure()
    }
    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.store.listen(listener);
    }
    fn load_watched(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> BoxFuture<'_, Result<Watched, StoreError>> {
        self.read(|store| store.load_watched(key, known))
    }
}

#[cfg(test)]
mod tests;
