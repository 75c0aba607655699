//! A store that can be made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{SessionIds, SessionKey};
use crate::limits::Limits;
use crate::record::{Created, Loaded};
use crate::store::{BoxFuture, ScanPage, ScanQuery, SessionStore, StoreStats};
use crate::write::{Commit, Imported, NewSession, Reason, Rotation};

/// Passes calls on to another store, counts them, and fails reads or writes with `Unavailable`
/// while it is told to.
pub struct FlakyStore {
    inner: Arc<dyn SessionStore>,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl FlakyStore {
    /// A store that works, for now.
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self {
            inner,
            reads_fail: AtomicBool::default(),
            writes_fail: AtomicBool::default(),
            reads: AtomicU64::default(),
            writes: AtomicU64::default(),
        }
    }

    /// Whether loads, scans and statistics fail.
    pub fn fail_reads(&self, fail: bool) {
        self.reads_fail.store(fail, Ordering::SeqCst);
    }

    /// Whether everything that writes fails.
    pub fn fail_writes(&self, fail: bool) {
        self.writes_fail.store(fail, Ordering::SeqCst);
    }

    /// How often it was read from.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// How often it was written to.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn call<'a, T>(
        &self,
        count: &AtomicU64,
        fail: &AtomicBool,
        call: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>>
    where
        T: Send + 'a,
    {
        count.fetch_add(1, Ordering::SeqCst);
        if fail.load(Ordering::SeqCst) {
            let error = StoreError::new(StoreErrorKind::Unavailable, "the store fails as it was told to");
            return Box::pin(std::future::ready(Err(error)));
        }
        call
    }

    fn read<'a, T: Send + 'a>(
        &self,
        call: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.call(&self.reads, &self.reads_fail, call)
    }

    fn write<'a, T: Send + 'a>(
        &self,
        call: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.call(&self.writes, &self.writes_fail, call)
    }
}

impl SessionStore for FlakyStore {
    fn ids(&self) -> &SessionIds {
        self.inner.ids()
    }
    fn limits(&self) -> &Limits {
        self.inner.limits()
    }
    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.write(self.inner.create(new))
    }
    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.read(self.inner.load(key, known))
    }
    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.write(self.inner.commit(key, commit))
    }
    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.touch(key))
    }
    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.write(self.inner.rotate(key, rotation))
    }
    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.write(self.inner.revoke(key, reason))
    }
    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.write(self.inner.import(key, imported))
    }
    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.settle(key, grace))
    }
    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        self.read(self.inner.scan(query))
    }
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.read(self.inner.stats())
    }
}
