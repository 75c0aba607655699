//! What happens to sessions: as a page, or as it happens (server-sent events).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, header};
use iap_core::{Error, Kind, Origin};
use iap_session::events::Entry;
use iap_session::{EventId, Events, Sessions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Named;

/// Those who listen at a time.
pub(super) const MAX_STREAMS: usize = 32;
/// Events of a page that says nothing else, and of one step of a stream.
const PAGE: usize = 100;
/// Also how soon it is seen that a listener has left: by the second of them that is not taken.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

pub(super) async fn events(
    State(state): State<AdminState>,
    headers: HeaderMap,
    mut named: Named,
) -> ApiResult<Response> {
    let since: Option<EventId> = named.take("since")?;
    let limit = named.take("limit")?.unwrap_or(PAGE);
    named.finish()?;
    let events = state.0.sessions.as_ref().and_then(Sessions::events);
    let events = events.ok_or_else(|| {
        ApiError::not_found("nothing is told: sessions are off, or sessions.events.enabled is")
    })?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream")) {
        // Where a listener was before it lost its connection.
        let last = text(header::HeaderName::from_static("last-event-id"));
        let last = last
            .map(str::parse)
            .transpose()
            .map_err(|error| ApiError::bad_request(format!("Last-Event-ID: {error}")))?;
        let after = last.or(since).unwrap_or_else(|| events.latest());
        return Ok(stream_after(&state.0.streams, events, after)?.into_response());
    }
    let page = match since {
        Some(since) => events.read(since, limit).await?,
        None => events.last(limit).await?,
    };
    Ok(Json(page).into_response())
}

/// A listener.
struct Listener {
    events: Events,
    after: EventId,
    waiting: VecDeque<Entry>,
    _place: OwnedSemaphorePermit,
}

fn stream_after(
    places: &Arc<Semaphore>,
    events: &Events,
    after: EventId,
) -> ApiResult<Sse<impl Stream<Item = Result<Message, Infallible>> + use<>>> {
    let place = places.clone().try_acquire_owned().map_err(|_| {
        Error::new(Kind::Unavailable, Origin::Internal, "too many listen to events: try again later")
    })?;
    let listener = Listener { events: events.clone(), after, waiting: VecDeque::new(), _place: place };
    let messages = stream::unfold(listener, |mut listener| async move {
        let message = listener.next().await?;
        Some((Ok(message), listener))
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Listener {
    /// `None` where the log cannot be read: the listener comes again, and says where it was.
    async fn next(&mut self) -> Option<Message> {
        while self.waiting.is_empty() {
            self.events.wait_after(self.after).await;
            let page = self.events.read(self.after, PAGE).await.ok()?;
            if page.next == self.after {
                // Known to be there, and not to be had.
                return None;
            }
            self.after = page.next;
            self.waiting.extend(page.events);
        }
        let entry = self.waiting.pop_front()?;
        Message::default().id(entry.id.to_string()).event("session").json_data(&entry).ok()
    }
}
