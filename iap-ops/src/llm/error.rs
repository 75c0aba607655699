//! Why a model gives no answer.

use std::time::Duration;

use serde::Serialize;

/// What went wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, or one that broke off.
    Connect,
    /// No answer within its time, or a pause in it that was too long.
    Timeout,
    /// More bytes than are taken.
    TooLarge,
    /// An answer that is none.
    Malformed,
    /// An answer that ends in the middle, since the model has written all that it may.
    Cut,
    /// Asked too often (429).
    RateLimited,
    /// The provider has failed (5xx).
    Server,
    /// The key is wrong (401, 403).
    Auth,
    /// The provider does not take the request.
    Refused,
    /// What is to be said does not fit the model's context.
    Context,
    /// The budget is used up.
    Budget,
    /// It has failed lately, and is left alone for a while.
    Resting,
    /// It is not where data may go.
    Residency,
    /// Too many calls at a time.
    Busy,
    /// It went on calling tools.
    Steps,
}

impl ErrorKind {
    /// The name, in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Auth => "auth",
            Self::Refused => "refused",
            Self::Context => "context",
            Self::Budget => "budget",
            Self::Resting => "resting",
            Self::Residency => "residency",
            Self::Busy => "busy",
            Self::Steps => "steps",
        }
    }

    /// Whether another provider may have an answer.
    pub fn may_try_another(self) -> bool {
        !matches!(self, Self::Budget | Self::Busy | Self::Steps)
    }

    /// Whether no model has read what was sent.
    pub(crate) fn was_not_read(self) -> bool {
        matches!(self, Self::Connect | Self::RateLimited | Self::Server | Self::Auth | Self::Refused)
    }

    /// Whether it speaks against the provider, so that enough of them let it rest.
    pub(crate) fn is_failure(self) -> bool {
        !matches!(
            self,
            Self::Context
                | Self::Budget
                | Self::Resting
                | Self::Residency
                | Self::Busy
                | Self::Steps
                | Self::Cut
        )
    }
}

/// A call that gave no answer. Holds no key and no text of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the language model gave no answer: {}", kind.as_str())]
pub struct CallError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// When it may be asked again, if it has said so.
    pub retry_after: Option<Duration>,
}

impl From<ErrorKind> for CallError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, retry_after: None }
    }
}
