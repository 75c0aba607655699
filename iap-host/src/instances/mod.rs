//! The other instances of the configuration file: how they are, a new one, one that goes.
//!
//! | module | what it has |
//! |---|---|
//! | [`mod@ask`] | what an instance says of itself, and that it is to read the file again |
//! | [`mod@make`] | what a new instance needs of its own: an identity, ports, directories |
//! | [`mod@clear`] | the directories of one that is destroyed |

mod ask;
mod clear;
mod make;

use std::sync::Arc;

pub(crate) use self::ask::{Acknowledged, Own, Shown, is_there, list, meaning, reload};
pub(crate) use self::clear::{Cleared, clear, clearable};
pub(crate) use self::make::{Made, make, set};
use crate::config::{self, Document, Parsed, Wrong};
use crate::revisions::{Drift, Revisions, conceal};

/// What a text says of instances, without the environment of any process.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: Arc<str>,
    pub(crate) document: Document,
    /// What it means for each of them.
    pub(crate) all: Vec<Parsed>,
}

impl Text {
    /// Reads it; `None` where it has neither profiles nor instances.
    pub(crate) fn read(text: Arc<str>) -> Result<Option<Self>, Wrong> {
        let Some(document) = Document::read(&text).transpose()? else { return Ok(None) };
        let all = config::parse_document(&document)?;
        Ok(Some(Self { text, document, all }))
    }

    /// What the file has now; where that means nothing, what it had, and why.
    pub(crate) fn current(revisions: &Revisions) -> (Option<Self>, Option<String>) {
        let known = || Self::read(revisions.in_file()).unwrap_or_default();
        match revisions.drift() {
            Drift::None => (known(), None),
            Drift::Unreadable(error) => (known(), Some(error)),
            Drift::Edited(text) => {
                let text: Arc<str> = text.into();
                match Self::read(text.clone()) {
                    Ok(read) => (read, None),
                    Err(Wrong { place, message }) => {
                        let place =
                            place.map(|(line, column)| format!("{line}:{column}: ")).unwrap_or_default();
                        (known(), Some(format!("{place}{}", conceal(&message, &text))))
                    }
                }
            }
        }
    }

    /// One of them.
    pub(crate) fn get(&self, name: &str) -> Option<&Parsed> {
        self.all.iter().find(|parsed| parsed.instance.as_ref().is_some_and(|one| one.name == name))
    }
}

#[cfg(test)]
mod tests;
