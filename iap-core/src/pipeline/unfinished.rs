//! The transaction of a request that has no response head yet.

use http::StatusCode;

use crate::error::Kind;
use crate::hooks::{Finish, Hooks};

/// Finishes its transaction when the request is given up before it has an answer: the client reset
/// its HTTP/2 stream, or the server stops hard. Without an observer there is nothing to do.
pub(super) struct Unfinished<'a, H: Hooks> {
    hooks: &'a H,
    transaction: Option<H::Transaction>,
}

impl<'a, H: Hooks> Unfinished<'a, H> {
    pub(super) fn new(hooks: &'a H, transaction: H::Transaction) -> Self {
        Self { hooks, transaction: Some(transaction) }
    }

    pub(super) fn transaction(&self) -> &H::Transaction {
        self.transaction.as_ref().expect("taken by into_transaction only")
    }

    /// The request has its answer; what is left is to send it.
    pub(super) fn into_transaction(mut self) -> H::Transaction {
        self.transaction.take().expect("taken here only")
    }
}

impl<H: Hooks> Drop for Unfinished<'_, H> {
    fn drop(&mut self) {
        if !H::ENABLED {
            return;
        }
        let Some(transaction) = self.transaction.take() else { return };
        let finish = Finish {
            status: StatusCode::from_u16(499).expect("499 is a valid status code"),
            bytes_out: 0,
            error: Some(Kind::ClientGone),
            message: Some("the request was given up before it had an answer".to_owned()),
        };
        self.hooks.finish(transaction, finish);
    }
}
