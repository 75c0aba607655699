//! Sessions that clients bring from another system.

use crate::carrier::Change;
use crate::error::StoreError;
use crate::record::{Loaded, Record};

use super::Session;
use super::load::Answer;
use super::state::Base;

impl Session {
    /// The session of the client's old cookie, where none was found by ours. What has ended here stays ended.
    pub(super) async fn adopted(&self, answer: Answer) -> Result<Answer, StoreError> {
        let Some(foreign) = &self.inner.visit.foreign else { return Ok(answer) };
        match &answer.base {
            Base::Found { record, by_old_id: false, .. } => self.settle(record).await,
            Base::Absent if answer.ended.is_none() && !foreign.is_empty() => {
                return match foreign.adopt(&*self.inner.shared.store).await {
                    Ok(Some(adopted)) => {
                        let by_old_id = !adopted.has_first_id();
                        let give = (!by_old_id).then(|| adopted.foreign.id().clone());
                        self.inner.state.lock().given = give;
                        let base = Base::Found { record: adopted.record, now_ms: adopted.now_ms, by_old_id };
                        Ok(Answer { base, ended: None, outdated: None })
                    }
                    Ok(None) => Ok(answer),
                    Err(error) => match error.reason() {
                        Some(reason) => {
                            Ok(Answer { base: Base::Absent, ended: Some(reason), outdated: None })
                        }
                        None => Err(error),
                    },
                };
            }
            _ => {}
        }
        Ok(answer)
    }

    /// The client came with its new id: the old one has had its time. If the store cannot note that now, it can with
    /// the next request.
    async fn settle(&self, record: &Record) {
        if record.taken.is_some_and(|taken| taken.foreign_until_ms.is_none()) {
            let grace = self.inner.shared.config.rotation_grace;
            if let Err(error) = self.inner.shared.store.settle(record.key, grace).await {
                tracing::debug!(%error, "an old session id could not be retired");
            }
        }
    }

    /// The cookie of a session that was adopted, unless the response has another one anyway. Another request of the client
    /// may have logged in or out meanwhile: then it has given the cookie that counts.
    pub(super) async fn with_given_id(&self, change: Change) -> Change {
        let given = self.inner.state.lock().given.take();
        let (Change::Keep, Some(id)) = (&change, given) else { return change };
        let store = &self.inner.shared.store;
        let key = store.ids().key(&id);
        match store.load(key, None).await {
            Ok(Some(Loaded::Found { record, .. })) if record.key != key => change,
            Ok(None) => change,
            Err(error) if error.reason().is_some() => change,
            _ => Change::Set(id),
        }
    }
}
