//! The errors of the APM.

use std::fmt;

/// What went wrong with the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistoryErrorKind {
    /// More is being written or read than the store keeps up with; later it may work.
    Overloaded,
    /// There is no room left.
    Full,
    /// The store failed or cannot be reached.
    Unavailable,
    /// The query is not valid: a foreign cursor, a step of zero.
    InvalidQuery,
    /// The store was shut down.
    Closed,
}

/// An error of the history. Its text is for operators; it holds no recorded data.
#[derive(Debug, thiserror::Error)]
#[error("history: {message}")]
pub struct HistoryError {
    kind: HistoryErrorKind,
    message: &'static str,
    source: Option<iap_core::BoxError>,
}

impl HistoryError {
    /// An error of a kind, for engines.
    pub fn new(kind: HistoryErrorKind, message: &'static str) -> Self {
        Self { kind, message, source: None }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<iap_core::BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What it says, without the cause.
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// What went wrong.
    pub fn kind(&self) -> HistoryErrorKind {
        self.kind
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            HistoryErrorKind::Overloaded | HistoryErrorKind::Full | HistoryErrorKind::Unavailable
        )
    }
}

/// What went wrong with the APM itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The collector's thread could not be started.
    Thread,
    /// The history refused data or a flush.
    History,
    /// The APM was shut down.
    Closed,
    /// Another metrics recorder is installed in this process.
    RecorderTaken,
    /// The settings of an export cannot be used.
    Export,
}

/// An error of the APM.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<iap_core::BoxError>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn with_source(kind: ErrorKind, source: impl Into<iap_core::BoxError>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Thread | ErrorKind::History)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::Thread => "the collector's thread could not be started",
            ErrorKind::History => "the history did not take all data",
            ErrorKind::Closed => "the APM was shut down",
            ErrorKind::RecorderTaken => "another metrics recorder is installed",
            ErrorKind::Export => "the settings of the export cannot be used",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
