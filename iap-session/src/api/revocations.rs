//! Which sessions have ended, for applications that hold something open for them, such as a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Response};
use iap_core::{Body, Error, Kind, Origin};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{bearer, json};
use crate::error::{StoreError, StoreErrorKind};
use crate::events::{Entry, EventId, EventKind, Events};

/// The most that a request may wait, and those who wait at a time.
const MAX_WAIT: Duration = Duration::from_secs(30);
const MAX_WAITERS: usize = 1_000;
/// Events that are looked at in one step.
const STEP: usize = 500;
/// The shortest secret, in bytes.
const MIN_TOKEN: usize = 16;

/// Tells applications which sessions have ended.
///
/// `GET /revocations?since=<id>&wait=<seconds>` answers with the ends and the changes of handles after an event, at once or
/// when there are any. It is for whoever has the shared secret: it tells of all sessions, but by their handles alone, with
/// which nothing can be done.
pub struct Revocations {
    events: Events,
    /// Hashed, so that comparing takes the same time whatever was sent.
    token: blake3::Hash,
    waiters: Semaphore,
}

/// The answer.
#[derive(Serialize)]
struct Page {
    revocations: Vec<Revocation>,
    /// What to ask for the next time.
    next: EventId,
    /// Whether all since then is known.
    complete: bool,
}

/// A handle that means no session any more.
#[derive(Serialize)]
struct Revocation {
    id: EventId,
    handle: String,
    reason: &'static str,
    /// The handle that the same session has now, where it lives on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

struct Query {
    since: Option<EventId>,
    wait: Duration,
}

impl Revocations {
    /// Tells whoever has this secret.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if it is shorter than 16 bytes.
    pub fn new(events: Events, token: &str) -> Result<Arc<Self>, StoreError> {
        if token.len() < MIN_TOKEN {
            let text = format!("the token for revocations needs at least {MIN_TOKEN} bytes");
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        let token = blake3::hash(token.as_bytes());
        Ok(Arc::new(Self { events, token, waiters: Semaphore::new(MAX_WAITERS) }))
    }

    pub(super) async fn answer(&self, request: &Parts) -> Result<Response<Body>, Error> {
        let known =
            bearer(&request.headers).is_some_and(|token| blake3::hash(token.as_bytes()) == self.token);
        if !known {
            return Err(Error::new(
                Kind::Unauthorized,
                Origin::Client,
                "the token for revocations is not valid",
            ));
        }
        if request.method != Method::GET {
            let error = Error::new(Kind::MethodNotAllowed, Origin::Client, "the method is not served here");
            return Err(error.allow("GET"));
        }
        let query = Query::read(request.uri.query().unwrap_or_default()).ok_or_else(|| {
            Error::new(
                Kind::BadRequest,
                Origin::Client,
                "the parameters are `since`, an id, and `wait`, seconds",
            )
        })?;
        Ok(json(&self.page(query).await?))
    }

    async fn page(&self, query: Query) -> Result<Page, Error> {
        let until = Instant::now() + query.wait;
        let after = query.since.unwrap_or_else(|| self.events.latest());
        let mut page = Page { revocations: Vec::new(), next: after, complete: true };
        let mut place = None;
        loop {
            let step = self.events.read(page.next, STEP).await?;
            page.complete &= step.complete;
            let is_last = step.events.len() < STEP;
            page.next = step.next;
            page.revocations.extend(step.events.iter().filter_map(revocation));
            if !page.revocations.is_empty() || !page.complete || (is_last && Instant::now() >= until) {
                return Ok(page);
            }
            if !is_last {
                continue;
            }
            if place.is_none() {
                let taken = self.waiters.try_acquire().map_err(|_| {
                    let text = "too many are waiting for revocations";
                    Error::new(Kind::Unavailable, Origin::Internal, text).retryable()
                })?;
                place = Some(taken);
            }
            let _ = tokio::time::timeout_at(until, self.events.wait_after(page.next)).await;
        }
    }
}

fn revocation(entry: &Entry) -> Option<Revocation> {
    let event = &entry.event;
    let (key, reason) = match event.kind {
        EventKind::Revoked => (event.key?, event.by.map_or("revoked", crate::Reason::as_str)),
        kind @ (EventKind::Expired | EventKind::Evicted) => {
            // "evicted" is what a newer login does, in the words of the session API.
            (event.key?, if kind == EventKind::Expired { "expired" } else { "no_room" })
        }
        kind @ (EventKind::Rotated | EventKind::Login) => (event.previous?, kind.as_str()),
        EventKind::Logout => (event.key?, "logout"),
        EventKind::Created | EventKind::LoginRefused => return None,
    };
    let lives = matches!(event.kind, EventKind::Rotated | EventKind::Login | EventKind::Logout);
    let next = event.key.filter(|_| lives);
    Some(Revocation { id: entry.id, handle: key.short(), reason, next: next.map(|key| key.short()) })
}

impl Query {
    fn read(text: &str) -> Option<Self> {
        let mut query = Self { since: None, wait: Duration::ZERO };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("since", id) => query.since = Some(id.parse().ok()?),
                ("wait", seconds) => query.wait = Duration::from_secs(seconds.parse().ok()?).min(MAX_WAIT),
                _ => return None,
            }
        }
        Some(query)
    }
}

#[cfg(test)]
mod tests;
