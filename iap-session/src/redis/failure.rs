//! What the errors of fred and of the server mean.

use fred::error::{Error, ErrorKind};

use crate::error::{StoreError, StoreErrorKind};

/// Whether a command changes anything: if so, a lost reply leaves its effect unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
}

/// Errors by which a server has refused a command before it did anything.
const REFUSALS: [&str; 11] = [
    "OOM",
    "MISCONF",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "BUSY",
    "TRYAGAIN",
    "MOVED",
    "ASK",
];
/// Errors of somebody who may not do that. Inside a script they have another form.
const RIGHTS: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "ERR The user executing the script"];

pub(super) fn explain(address: &str, error: Error, effect: Effect) -> StoreError {
    let details = error.details();
    let says = |prefixes: &[&str]| prefixes.iter().any(|prefix| details.starts_with(prefix));
    let (kind, text) = if says(&["WRONGTYPE"]) {
        (StoreErrorKind::Corrupt, "another kind of value stands under the key")
    } else if says(&REFUSALS) || is_redirected(&error) {
        (StoreErrorKind::Unavailable, "the server does not take commands at the moment")
    } else if says(&RIGHTS) || *error.kind() == ErrorKind::Auth {
        (StoreErrorKind::Unavailable, "the server does not let us in")
    } else if says(&[NOT_DURABLE]) {
        (StoreErrorKind::NotDurable, "the write is done, but too few replicas have confirmed it")
    } else if says(&[NOT_CONNECTED]) {
        (StoreErrorKind::Unavailable, "not connected")
    } else if *error.kind() == ErrorKind::Backpressure {
        (StoreErrorKind::Unavailable, "too many commands are waiting")
    } else if matches!(error.kind(), ErrorKind::Parse | ErrorKind::Protocol | ErrorKind::NotFound)
        || says(&["ERR"])
    {
        (StoreErrorKind::Corrupt, "the server's answer is not what was asked for")
    } else if effect == Effect::Write {
        (StoreErrorKind::Ambiguous, "no reply came")
    } else {
        (StoreErrorKind::Unavailable, "no reply came")
    };
    StoreError::new(kind, format!("Redis at {address}: {text}")).with_source(error)
}

/// There was nobody to send a command to. It took effect nowhere.
pub(super) fn not_connected() -> Error {
    Error::new(ErrorKind::Backpressure, NOT_CONNECTED)
}

/// How an error begins that says that a write was done and not confirmed.
pub(super) const NOT_DURABLE: &str = "not durable";

const NOT_CONNECTED: &str = "no connection stands";

/// Whether a command was sent from node to node until fred gave up. It took effect nowhere.
pub(super) fn is_redirected(error: &Error) -> bool {
    *error.kind() == ErrorKind::Routing && error.details().starts_with("Too many redirections")
}
