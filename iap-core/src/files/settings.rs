//! How a directory is served.

use http::HeaderValue;

use super::path::wanted;
use crate::route::Pattern;

/// How a directory is served. [`Default`] serves `index.html` for directories and nothing beyond files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesSettings {
    /// The file that answers for a directory; `index.html` by default, `None` for none.
    pub index: Option<String>,
    /// The file that answers navigations to paths that do not exist, such as `/index.html`, for
    /// applications that route in the browser. Paths whose last segment has a dot stay 404.
    pub fallback: Option<String>,
    /// Whether a directory without an index answers with a page of its entries. Off by default.
    pub listing: bool,
    /// Whether `a.js.br`, `a.js.zst` and `a.js.gz` are sent for `a.js` to clients that accept them. Off by
    /// default. Their times are not compared: make them anew whenever the file changes.
    pub precompressed: bool,
    /// Whether names that begin with a dot are served. Off by default; `.well-known` always is.
    pub dotfiles: bool,
    /// `Cache-Control` by pattern, in which `*` stands for any text. A pattern with a slash is compared
    /// with the path below the root, another with the name. The longest that fits wins.
    pub cache: Vec<(String, String)>,
}

impl Default for FilesSettings {
    fn default() -> Self {
        Self {
            index: Some("index.html".to_owned()),
            fallback: None,
            listing: false,
            precompressed: false,
            dotfiles: false,
            cache: Vec::new(),
        }
    }
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The index is not a file name.
    #[error("index: `{0}` is not a file name like index.html")]
    Index(String),
    /// The fallback is not a path below the root.
    #[error("fallback: `{0}` is not a path below the root like /index.html")]
    Fallback(String),
    /// A cache pattern that fits nothing.
    #[error("cache: `{0}` is not a pattern like *.js or /assets/*")]
    Pattern(String),
    /// A cache value that is no field value.
    #[error("cache: the value for `{0}` is not a Cache-Control like `public, max-age=3600`")]
    Value(String),
}

impl FilesSettings {
    /// Says what is wrong, if anything is. Reads no files.
    pub fn check(&self) -> Result<(), FilesError> {
        if let Some(index) = &self.index
            && (index.contains(['/', '\\', '\0']) || matches!(&**index, "" | "." | ".."))
        {
            return Err(FilesError::Index(index.clone()));
        }
        if let Some(fallback) = &self.fallback
            && wanted(fallback).is_none_or(|wanted| wanted.is_directory)
        {
            return Err(FilesError::Fallback(fallback.clone()));
        }
        CachePolicy::new(&self.cache).map(drop)
    }
}

/// The patterns, longest first.
#[derive(Debug, Default)]
pub(super) struct CachePolicy(Vec<CacheRule>);

#[derive(Debug)]
struct CacheRule {
    pattern: Pattern,
    length: usize,
    /// Whether the pattern is for the whole path.
    is_path: bool,
    value: HeaderValue,
}

impl CachePolicy {
    pub(super) fn new(patterns: &[(String, String)]) -> Result<Self, FilesError> {
        let mut rules = Vec::with_capacity(patterns.len());
        for (pattern, value) in patterns {
            let is_path = pattern.contains('/');
            if pattern.is_empty() || (is_path && !pattern.starts_with(['/', '*'])) {
                return Err(FilesError::Pattern(pattern.clone()));
            }
            let is_text = !value.trim().is_empty() && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
            let value = HeaderValue::from_str(value.trim()).ok().filter(|_| is_text);
            let value = value.ok_or_else(|| FilesError::Value(pattern.clone()))?;
            rules.push(CacheRule { pattern: Pattern::new(pattern), length: pattern.len(), is_path, value });
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.length));
        Ok(Self(rules))
    }

    /// The value for a file, given relative to the root.
    pub(super) fn of(&self, path: &str) -> Option<&HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let whole = format!("/{path}");
        let name = path.rsplit('/').next().unwrap_or(path);
        let fits = |rule: &&CacheRule| rule.pattern.matches(if rule.is_path { &whole } else { name });
        self.0.iter().find(fits).map(|rule| &rule.value)
    }
}
