//! What somebody wants, and why it is refused.

use std::fmt;
use std::sync::Arc;

use super::{Revision, Wish};
use crate::config::ConfigError;

/// Another configuration that is wanted.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) wish: Wish,
    pub(crate) text: Arc<str>,
    /// What the author has seen: an entity tag, or `*` for whatever runs.
    pub(crate) seen: String,
    /// Whether edits of the file by others may be lost.
    pub(crate) overwrite: bool,
    /// Whether it is tried out; what has run before is taken at once.
    pub(crate) is_tried: bool,
}

/// What became of it so far: it runs, tried out or for good.
pub(crate) type Applied = Result<Revision, Refused>;

/// Why nothing has changed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another one runs than the author has seen.
    Seen,
    /// The file was edited.
    Drift,
    /// The text is no configuration.
    Invalid(ConfigError),
    /// A setting that needs a new process.
    Fixed(&'static str),
    /// The file cannot be written.
    File(String),
    /// It could not be built. With its number.
    Built(u64, String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen => f.write_str("another configuration runs by now: look at it, then try again"),
            Self::Drift => f.write_str(
                "the file was edited by somebody else: reload it, or send `overwrite: true` to lose what they wrote",
            ),
            Self::Invalid(error) => f.write_str(&error.message),
            Self::Fixed(setting) => write!(
                f,
                "{setting}: this cannot change while the process runs: write it into the file and let a new process \
                 take over (SIGUSR2), or restart"
            ),
            Self::File(error) => write!(f, "the file could not be written afterwards: {error}"),
            Self::Built(_, error) => f.write_str(error),
        }
    }
}
