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
}

impl Ticket {
    /// Only for who has counted the request in already.
    pub(super) fn new(upstream: Arc<Upstream>, index: usize, is_probe: bool) -> Self {
        Self { upstream, index, is_probe }
    }

    pub(super) fn index(&self) -> usize {
        self.index
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
