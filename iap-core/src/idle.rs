//! A bound on standing still, which costs nothing while things move.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Measures how long something has been pending. The timer is made at the first pause,
/// and kept: to move it is cheap.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    limit: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl IdleTimer {
    /// `None` waits for ever.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, sleep: None, is_waiting: false }
    }

    /// Lets go of a timer that another thread's runtime would have to wake us for.
    pub(crate) fn move_here(&mut self) {
        (self.sleep, self.is_waiting) = (None, false);
    }

    /// Something begins that may stand still for so long.
    pub(crate) fn begin(&mut self, limit: Duration) {
        self.limit = Some(limit);
        self.progress();
    }

    /// Something moved.
    pub(crate) fn progress(&mut self) {
        self.is_waiting = false;
    }

    /// To be called when nothing moves: ready once that has been so for too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_waiting {
            self.is_waiting = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }
}
