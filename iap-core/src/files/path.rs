//! From the path of a request to the name of a file below the root.

use crate::gate;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Relative to the root, decoded, without a slash at either end; empty for the root.
    pub(super) name: String,
    /// Whether the path ends with a slash, so that only a directory can be meant.
    pub(super) is_directory: bool,
}

/// Reads the encoded path below the root, which begins with a slash. The gate has refused most of what is
/// looked for here; a layer may have changed the path since.
///
/// `None` for what can be no file: empty and dot segments, and segments that hold a slash, a backslash or a NUL when
/// decoded, or that are not UTF-8.
pub(super) fn wanted(path: &str) -> Option<Wanted> {
    let path = path.strip_prefix('/')?;
    let (path, is_directory) = match path.strip_suffix('/') {
        Some(rest) => (rest, true),
        None => (path, path.is_empty()),
    };
    if path.is_empty() {
        return is_directory.then(|| Wanted { name: String::new(), is_directory });
    }
    let mut name = String::with_capacity(path.len());
    for segment in path.split('/') {
        let segment = gate::percent_decode(segment)?;
        if matches!(&*segment, "" | "." | "..") || segment.contains(['/', '\\', '\0']) {
            return None;
        }
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(&segment);
    }
    Some(Wanted { name, is_directory })
}

/// Whether a name is one of those that are kept from clients: it begins with a dot, and is not
/// `.well-known` (RFC 8615).
pub(super) fn is_hidden(segment: &str) -> bool {
    segment.starts_with('.') && segment != ".well-known"
}
