//! A request's place at a server: counted from the choice of the server to the end of the response.

use std::fmt;
use std::sync::Arc;

use super::Upstream;
use super::server::Server;

/// Counts one request in. Dropped, it counts it out and lets the next one in.
pub(super) struct Ticket {
    upstream: Arc<Upstream>,
    index: usize,
    is_probe: bool,
    owes: bool,
}

impl Ticket {
    /// Only for who has counted the request in already.
    pub(super) fn new(upstream: Arc<Upstream>, index: usize, is_probe: bool) -> Self {
        Self { upstream, index, is_probe, owes: false }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// A good answer whose body is still to come: whether it was one, its end tells.
    pub(super) fn owe(&mut self) {
        self.owes = true;
    }

    /// Takes note of a response that came to its end.
    pub(super) fn note_whole(&self) {
        if self.owes {
            self.upstream.note_outcome(self.index, true);
        }
    }

    /// Takes note of a response that broke off.
    pub(super) fn note_broken(&self) {
        self.server().metrics.broken.increment(1);
        self.upstream.note_outcome(self.index, false);
    }

    pub(super) fn server(&self) -> &Server {
        &self.upstream.servers[self.index]
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.upstream.leave(self.index, self.is_probe);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.index).finish()
    }
}
