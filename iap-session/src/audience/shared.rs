//! What several gateways have seen, united where they all reach it.

use std::sync::Arc;

use super::history::{LEVELS, Level};
use super::{Audience, By, Point, Sketch, Span, steps};
use crate::error::StoreError;
use crate::store::BoxFuture;

/// Users whom one gateway has seen of one application, or of all where it is `None`.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whose they are.
    pub application: Option<Arc<str>>,
    /// What tells them apart.
    pub by: By,
    /// Who they are.
    pub sketch: Sketch,
}

/// Where gateways unite what they have seen. It keeps minutes, five minutes and hours, each for as long as a
/// gateway does.
pub trait AudienceStore: Send + Sync {
    /// Counts in what was seen around `now_s`, seconds since 1970. It may be repeated: who counts twice counts once.
    fn unite<'a>(&'a self, now_s: u64, seen: &'a Seen) -> BoxFuture<'a, Result<(), StoreError>>;

    /// About how many different users there were in all of some `slots` of so many seconds, by where they begin.
    fn count<'a>(
        &'a self,
        by: &'a By,
        application: Option<&'a str>,
        width_s: u64,
        slots: &'a [u64],
    ) -> BoxFuture<'a, Result<u64, StoreError>>;
}

/// The levels that are shared: finest first, all but that of seconds.
pub(crate) fn shared_levels() -> impl DoubleEndedIterator<Item = (u64, u64)> {
    LEVELS[1..].iter().map(|Level { width_s, kept }| (*width_s, width_s * *kept as u64))
}

/// The slots of a shared level that a window touches. The finest that remembers so far and is not wider than the
/// step is taken.
fn slots(now_s: u64, span: Span, step_s: u64) -> (u64, Vec<u64>) {
    let age_s = now_s.saturating_sub(span.from_s);
    let narrow = || shared_levels().filter(|(width_s, _)| *width_s <= step_s);
    let fitting = narrow().find(|(_, kept_s)| age_s < *kept_s).or_else(|| narrow().next_back());
    let (width_s, _) = fitting.unwrap_or((LEVELS[1].width_s, 0));
    let first = span.from_s - span.from_s % width_s;
    (width_s, (first..span.to_s).step_by(width_s as usize).collect())
}

impl Audience {
    /// Unites what was seen since the last time with what others have seen. To be called every few seconds; what
    /// could not be united is kept for the next time.
    ///
    /// # Errors
    ///
    /// The first that the store had.
    pub async fn share(&self, store: &dyn AudienceStore, now_s: u64) -> Result<(), StoreError> {
        let mut failed = Ok(());
        for seen in self.take_unshared() {
            if failed.is_ok() {
                failed = store.unite(now_s, &seen).await;
            }
            if failed.is_err() {
                self.give_back(&seen);
            }
        }
        failed
    }
}

/// The audience of one gateway, or of all that share a store.
#[derive(Clone)]
pub struct AudienceView {
    /// What this gateway has seen.
    pub audience: Arc<Audience>,
    /// Where gateways unite it.
    pub shared: Option<Arc<dyn AudienceStore>>,
}

impl AudienceView {
    /// Whether a count over so many seconds is one of all gateways. Less than a minute is this one's alone.
    pub fn is_shared(&self, seconds: u64) -> bool {
        self.shared.is_some() && seconds >= LEVELS[1].width_s
    }

    /// About how many different users there were in a window, by whole minutes where it is of all gateways.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn count(
        &self,
        by: &By,
        application: Option<&str>,
        now_s: u64,
        span: Span,
    ) -> Result<u64, StoreError> {
        let seconds = span.to_s.saturating_sub(span.from_s);
        let Some(store) = self.shared.as_ref().filter(|_| self.is_shared(seconds)) else {
            return Ok(self.audience.count(by, application, span));
        };
        let (width_s, slots) = slots(now_s, span, seconds);
        store.count(by, application, width_s, &slots).await
    }

    /// How many there were in each step of a window; `None` where that would be more than
    /// [`MAX_POINTS`](super::MAX_POINTS).
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn series(
        &self,
        by: &By,
        application: Option<&str>,
        now_s: u64,
        (span, step_s): (Span, u64),
    ) -> Result<Option<Vec<Point>>, StoreError> {
        if !self.is_shared(step_s) {
            return Ok(self.audience.series(by, application, span, step_s));
        }
        let Some(mut points) = steps(span, step_s) else { return Ok(None) };
        for point in &mut points {
            point.users = self.count(by, application, now_s, point.step(step_s)).await?;
        }
        Ok(Some(points))
    }
}
