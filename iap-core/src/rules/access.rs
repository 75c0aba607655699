//! Which addresses may come.

use crate::connection::Connection;
use crate::error::{Error, Kind, Origin};
use crate::networks::Networks;

/// Addresses that may come and addresses that may not. Behind a trusted proxy the client's counts, not the
/// proxy's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    allow: Networks,
    deny: Networks,
}

impl Access {
    /// Lets in only `allow` (all, if it is empty), but nobody of `deny`.
    pub fn new(allow: Networks, deny: Networks) -> Self {
        Self { allow, deny }
    }

    pub(super) fn check(&self, connection: &Connection) -> Result<(), Error> {
        let address = connection.peer().ip();
        let is_in = (self.allow.is_empty() || self.allow.contains(address)) && !self.deny.contains(address);
        if is_in {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, Origin::Client, "this address may not ask here").reason("address"))
    }
}
