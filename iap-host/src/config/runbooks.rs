//! Runbooks that answers point to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Span};

/// A folder of Markdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunbooksConfig {
    /// The folder; none when absent.
    pub(crate) directory: Option<PathBuf>,
    /// How often it is looked at.
    pub(crate) every: Span,
    pub(crate) max_files: usize,
    /// The largest file.
    pub(crate) max_file: ByteSize,
    /// All files together.
    pub(crate) max_total: ByteSize,
}

impl Default for RunbooksConfig {
    fn default() -> Self {
        Self {
            directory: None,
            every: Span::seconds(10),
            max_files: 2_000,
            max_file: ByteSize(256 << 10),
            max_total: ByteSize(8 << 20),
        }
    }
}

/// What is kept in memory: the index is several times as large.
const LARGEST: ByteSize = ByteSize(64 << 20);

impl RunbooksConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.every < Span::seconds(1) {
            return Err("ops.runbooks.every: at least 1s".to_owned());
        }
        if self.max_total.0 > LARGEST.0 || self.max_files > 10_000 {
            return Err("ops.runbooks: at most 10000 files, and 64MiB in all".to_owned());
        }
        Ok(())
    }
}
