//! What went wrong, as an error of the history.

use http::StatusCode;

use crate::error::{HistoryError, HistoryErrorKind};

/// No answer came: whether the statement has run is not known.
const NO_ANSWER: &str = "ClickHouse does not answer";

/// What the server says is kept up to this length; it may quote statements, never what was bound to them.
const MAX_TEXT: usize = 300;

/// The error of an answer, by ClickHouse's own number where it has one.
///
/// Source: <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>.
pub(super) fn of_answer(status: StatusCode, code: Option<u32>, text: &str) -> HistoryError {
    use HistoryErrorKind::{Full, InvalidQuery, Overloaded, Unavailable};
    let (kind, message) = match (code, status.as_u16()) {
        // Too many rows or bytes to read, to sort, to answer with.
        (Some(158 | 307 | 396), _) => (InvalidQuery, "the window is too large: take a shorter one"),
        // Timeout exceeded, too many simultaneous queries, memory limit exceeded, too many parts, cannot allocate memory.
        (Some(159 | 202 | 241 | 252 | 173), _) => (Overloaded, "ClickHouse has too much to do"),
        // Not enough space.
        (Some(243), _) => (Full, "ClickHouse has no room left"),
        // Authentication failed, access denied, unknown user, wrong or required password.
        (Some(516 | 497 | 192..=194), _) | (None, 401 | 403) => {
            (Unavailable, "ClickHouse refuses the user, or what the user may do")
        }
        (None, 429 | 502..=504) => (Overloaded, "ClickHouse has too much to do"),
        _ => (Unavailable, "ClickHouse has failed"),
    };
    let text: String = text.trim().chars().take(MAX_TEXT).collect();
    let cause = match code {
        Some(code) => format!("{status}, code {code}: {text}"),
        None => format!("{status}: {text}"),
    };
    HistoryError::new(kind, message).with_source(cause)
}

/// An attempt that has no answer.
pub(super) fn transport(error: impl Into<iap_core::BoxError>) -> HistoryError {
    unavailable(NO_ANSWER).with_source(error)
}

/// Whether a statement that may run twice is sent again.
pub(super) fn is_of_transport(error: &HistoryError) -> bool {
    error.message() == NO_ANSWER
}

pub(super) fn unavailable(message: &'static str) -> HistoryError {
    HistoryError::new(HistoryErrorKind::Unavailable, message)
}

pub(super) fn broken<E: Into<iap_core::BoxError>>(message: &'static str) -> impl FnOnce(E) -> HistoryError {
    move |error| unavailable(message).with_source(error)
}

pub(super) fn too_large() -> HistoryError {
    HistoryError::new(HistoryErrorKind::InvalidQuery, "the answer is too large: take a shorter window")
}
