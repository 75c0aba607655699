//! A session store that answers late while the demo says so.

use std::sync::Arc;
use std::time::Duration;

use iap_session::{
    BoxFuture, ChangeListener, Commit, Created, Imported, Limits, Loaded, NewSession, Pressure, Reason,
    Record, Rotation, ScanPage, ScanQuery, SessionIds, SessionKey, SessionStore, StoreError, StoreStats,
    Watched,
};

use super::faults::{Fault, LATE, is};

/// Stands before the store of the demo.
pub(crate) struct LateStore(pub(crate) Arc<dyn SessionStore>);

impl LateStore {
    fn late<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a Arc<dyn SessionStore>) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            if is(Fault::Store) {
                tokio::time::sleep(LATE).await;
            }
            call(&self.0).await
        })
    }
}

impl SessionStore for LateStore {
    fn ids(&self) -> &SessionIds {
        self.0.ids()
    }
    fn limits(&self) -> &Limits {
        self.0.limits()
    }
    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.late(|store| store.create(new))
    }
    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.late(move |store| store.load(key, known))
    }
    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.late(move |store| store.commit(key, commit))
    }
    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.late(move |store| store.touch(key))
    }
    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.late(move |store| store.rotate(key, rotation))
    }
    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.late(move |store| store.revoke(key, reason))
    }
    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        self.late(|store| store.scan(query))
    }
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.0.stats()
    }
    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        self.0.pressure()
    }
    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.late(move |store| store.import(key, imported))
    }
    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        self.late(move |store| store.settle(key, grace))
    }
    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.0.listen(listener);
    }
    fn stale(&self, key: SessionKey, max_age: Duration) -> Option<Arc<Record>> {
        self.0.stale(key, max_age)
    }
    fn load_watched(
        &self,
        key: SessionKey,
        known: Option<u64>,
    ) -> BoxFuture<'_, Result<Watched, StoreError>> {
        self.late(move |store| store.load_watched(key, known))
    }
}
