//! Connections of HTTP/1 between two requests: how long they may take, and when they are laid to rest.
//!
//! A parser with its buffers takes some 30 KB, and most connections are idle most of the time. After a
//! second without a request the parser goes; what is left waits for the next byte.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::connection::{Awaits, Connection};

/// How long a connection is kept ready for its next request.
const READY_FOR: Duration = Duration::from_secs(1);

/// The time between two requests.
#[derive(Debug)]
pub(super) struct Pause {
    /// For a head, from the end of the response before it.
    limit: Duration,
    since: Instant,
    requests: u32,
    timer: Option<Pin<Box<Sleep>>>,
    rests: bool,
    /// Whether the timer knows whom to wake.
    is_set: bool,
}

/// How a pause ends before the next request is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It can go on without a parser.
    Rest,
    /// It was too long.
    Late,
}

impl Pause {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), requests: 0, timer: None, rests: false, is_set: false }
    }

    /// To be called when the parser has gone: what ends the pause now is its limit.
    pub(super) fn rest(&mut self) {
        self.rests = true;
    }

    /// To be called whenever the connection has done what it can.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Over> {
        let awaits = connection.awaits();
        if awaits == Awaits::Nothing {
            return Poll::Pending;
        }
        let requests = connection.requests();
        if self.requests != requests {
            (self.requests, self.since, self.rests) = (requests, Instant::now(), false);
        }
        let may_rest = awaits == Awaits::Request && READY_FOR < self.limit && !self.rests;
        let due = self.since + if may_rest { READY_FOR } else { self.limit };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
            self.is_set = false;
        }
        // A timer that is set for a time before is moved on when that has come, and not at each request. It
        // wakes the same task all the time.
        while !self.is_set || timer.is_elapsed() {
            if timer.as_mut().poll(cx).is_pending() {
                self.is_set = true;
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(if may_rest { Over::Rest } else { Over::Late });
            }
            timer.as_mut().reset(due);
            self.is_set = false;
        }
        Poll::Pending
    }
}
