//! Why somebody was not signed in, in words that say nothing about the provider's answer: those are in the log.

use http::StatusCode;

/// Why a sign-in came to nothing. The console has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was begun in another browser, too long ago, or has been finished already.
    Expired,
    /// The provider says that the person does not want to, or may not.
    Denied,
    /// The provider cannot be asked now.
    Unavailable,
    /// The provider's answer was not what it must be.
    Refused,
    /// No value of the claim of the roles stands for one.
    NoRole,
    /// The claim of the name has none that can be used.
    NoName,
    /// A local account, a token or another person has the name.
    NameTaken,
    /// Too many have failed from this address: in how many seconds the next try counts.
    Wait(u64),
}

impl Failure {
    /// All kinds, for the pages of the console.
    const ALL: [Self; 8] = [
        Self::Expired,
        Self::Denied,
        Self::Unavailable,
        Self::Refused,
        Self::NoRole,
        Self::NoName,
        Self::NameTaken,
        Self::Wait(0),
    ];

    /// Its name in paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::NoRole => "no_role",
            Self::NoName => "no_name",
            Self::NameTaken => "name_taken",
            Self::Wait(_) => "wait",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.name() == name)
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Expired => StatusCode::BAD_REQUEST,
            Self::Refused => StatusCode::UNAUTHORIZED,
            Self::Denied | Self::NoRole | Self::NoName | Self::NameTaken => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether it is the provider's or the person's doing, and so stands in the record.
    pub(crate) fn is_noted(self) -> bool {
        !matches!(self, Self::Expired | Self::Unavailable | Self::Wait(_))
    }
}
