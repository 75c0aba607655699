//! Layers of a configuration: profiles, which are named parts of one, and instances, which are several hosts in one file. From
//! the weakest: defaults, profiles of the file, profiles of the instance, the file's own keys, the instance's settings; the environment
//! lies over it all. Blocks are merged, lists and single values replace what was there, and null is a value.
//!
//! | module | what it has |
//! |---|---|
//! | [`mod@tree`] | a text as it is written, each part with its place |
//! | [`mod@merge`] | layers laid over each other |
//! | [`mod@file`] | what a file says of profiles and instances |
//! | [`mod@emit`] | what comes of it as one text again |
//! | [`mod@sources`] | where each setting was written |
//! | [`mod@apart`] | what two instances may not share |
//! | [`mod@edit`] | an instance put into a text, or taken out |

mod apart;
mod edit;
mod emit;
mod file;
mod merge;
mod sources;
mod tree;

pub(super) use self::apart::check as apart;
pub(crate) use self::apart::{is_here, listeners, overlap, own_directories};
pub(crate) use self::edit::{Entry, insert, remove};
pub(super) use self::file::no_instances;
pub(crate) use self::file::{Document, Instance, LayersForm, ProfileShown};
pub(crate) use self::sources::Sources;
pub(crate) use self::tree::Node;

/// Line and column, both from 1.
pub(crate) type Place = (u64, u64);

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
}

fn wrong<T>(place: Place, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { place: Some(place), message: message.into() })
}

/// Whose word a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layer {
    /// A profile, by its name.
    Profile(String),
    /// The file's own keys.
    File,
    /// The instance: its settings, and what it has of its own because of its name.
    Instance,
}

#[cfg(test)]
mod tests;
