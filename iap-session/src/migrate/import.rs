//! All sessions of another system at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use iap_core::{Clock, SystemClock};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::error::StoreError;
use crate::limits::check_user;
use crate::record::Record;
use crate::store::SessionStore;

use super::policy::outcome_of;
use super::{Candidate, Outcome, Source, Takeover};

/// How many sessions are on their way at once.
const CONCURRENCY: usize = 16;
/// The most types that a report tells apart.
const MAX_TYPES: usize = 100;

/// Takes over all sessions of a source.
pub struct Import {
    /// Where to.
    pub store: Arc<dyn SessionStore>,
    /// Where from.
    pub source: Arc<dyn Source>,
    /// The rules.
    pub takeover: Takeover,
    /// Only count what would happen; nothing is written.
    pub dry_run: bool,
}

/// What an import has done. Counts only: no ids, no names of users, no values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sessions that the source gave.
    pub read: u64,
    /// Of these, taken over.
    pub imported: u64,
    /// Taken over before.
    pub before: u64,
    /// Their time was over.
    pub expired: u64,
    /// Over a limit of a session here.
    pub too_large: u64,
    /// Refused by the rules for logins.
    pub refused: u64,
    /// With a name of an attribute or user that is not allowed here.
    pub invalid: u64,
    /// Not to be read at all, by reason.
    pub unreadable: BTreeMap<&'static str, u64>,
    /// Attributes that have no JSON form and were kept as they are, by type.
    pub opaque: BTreeMap<String, u64>,
    /// Where to go on after a failure.
    pub next: Option<String>,
}

impl Report {
    /// How many sessions could not be read.
    pub fn unreadable_total(&self) -> u64 {
        self.unreadable.values().sum()
    }

    /// Whether every session that still lived there has been taken over.
    pub fn is_complete(&self) -> bool {
        self.too_large + self.refused + self.invalid + self.unreadable_total() == 0
    }

    fn count(&mut self, candidate: &Candidate, outcome: Outcome) {
        self.read += 1;
        match outcome {
            Outcome::Taken => self.imported += 1,
            Outcome::Before => self.before += 1,
            Outcome::Expired => self.expired += 1,
            Outcome::TooLarge => self.too_large += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Invalid => self.invalid += 1,
            Outcome::Unreadable => {}
        }
        match &candidate.session {
            Err(reason) => *self.unreadable.entry(reason.reason()).or_default() += 1,
            Ok(session) if outcome == Outcome::Taken => {
                for (kind, count) in &session.opaque {
                    let known = self.opaque.len() < MAX_TYPES || self.opaque.contains_key(kind);
                    let kind = if known { kind } else { "others" };
                    *self.opaque.entry(kind.to_owned()).or_default() += count;
                }
            }
            Ok(_) => {}
        }
    }
}

impl Import {
    /// Runs from the beginning, or from where another run has stopped. `progress` is called after each page.
    ///
    /// What was taken over before is counted and left alone, so a run can be repeated at any time.
    ///
    /// # Errors
    ///
    /// Those of the source and of the store, with what was done until then; [`Report::next`] says where to go on.
    pub async fn run(
        &self,
        from: Option<String>,
        mut progress: impl FnMut(&Report),
    ) -> Result<Report, (StoreError, Box<Report>)> {
        let mut report = Report { next: from, ..Report::default() };
        loop {
            let page = match self.source.scan(report.next.clone()).await {
                Ok(page) => page,
                Err(error) => return Err((error, Box::new(report))),
            };
            if let Err(error) = self.page(page.sessions, &mut report).await {
                return Err((error, Box::new(report)));
            }
            report.next = page.next;
            progress(&report);
            if report.next.is_none() {
                return Ok(report);
            }
        }
    }

    async fn page(&self, sessions: Vec<Candidate>, report: &mut Report) -> Result<(), StoreError> {
        let mut running = JoinSet::new();
        let mut sessions = sessions.into_iter();
        let mut failed = None;
        loop {
            while running.len() < CONCURRENCY && failed.is_none() {
                let Some(candidate) = sessions.next() else { break };
                let (store, takeover, dry_run) = (self.store.clone(), self.takeover, self.dry_run);
                let system = self.source.system();
                running.spawn(async move {
                    let now_ms = SystemClock.now_ms();
                    let outcome = match dry_run {
                        false => takeover.take(&*store, system, &candidate, now_ms).await,
                        true => look(&takeover, &*store, system, &candidate, now_ms).await,
                    };
                    (candidate, outcome)
                });
            }
            match running.join_next().await {
                None => return failed.map_or(Ok(()), Err),
                Some(Ok((candidate, Ok(outcome)))) => report.count(&candidate, outcome),
                Some(Ok((_, Err(error)))) => failed = Some(error),
                Some(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
            }
        }
    }
}

/// What would become of a session, as far as that can be told without writing.
async fn look(
    takeover: &Takeover,
    store: &dyn SessionStore,
    system: &str,
    candidate: &Candidate,
    now_ms: u64,
) -> Result<Outcome, StoreError> {
    let (key, imported) = match takeover.prepare(store, system, candidate, now_ms) {
        Ok(prepared) => prepared,
        Err(outcome) => return Ok(outcome),
    };
    let checked = Record::imported(key, &imported, store.limits(), now_ms)
        .and_then(|record| record.user.as_deref().map_or(Ok(()), check_user));
    if let Err(error) = checked {
        return outcome_of(error);
    }
    match store.load(key, None).await {
        Ok(None) => Ok(Outcome::Taken),
        Ok(Some(_)) => Ok(Outcome::Before),
        Err(error) if error.reason().is_some() => Ok(Outcome::Before),
        Err(error) => Err(error),
    }
}
