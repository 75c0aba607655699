//! Static files.
//!
//! | file | holds |
//! |---|---|
//! | [`FilesSettings`] in `settings` | what can be chosen |
//! | `path` | from the path of a request to a name below the root |
//! | `beneath` | opening that name without leaving the root |
//! | `find` | file, index, listing, fallback or redirect |
//! | `answer` | from an open file to a response: conditions, ranges, codings |
//! | `body` | the bytes on their way |

mod answer;
mod beneath;
mod body;
mod encoding;
mod find;
mod listing;
mod media_type;
mod path;
mod range;
mod settings;
mod validators;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response};
use rustix::io::Errno;

use self::settings::CachePolicy;
use crate::body::Body;
use crate::error::{Error, Kind, Origin};
use crate::route::Route;

pub use settings::{FilesError, FilesSettings};

/// The files below one directory.
///
/// Nothing else is reached: no path and no symbolic link leads out of it, also not one that is
/// changed while a request runs. Links that stay inside are followed if they are relative.
#[derive(Debug)]
pub struct Files {
    name: Arc<str>,
    site: Arc<Site>,
}

/// What is needed away from the connection's thread.
#[derive(Debug, Default)]
struct Site {
    root: PathBuf,
    settings: FilesSettings,
    cache: CachePolicy,
}

/// What a request asks of a site.
struct Ask {
    is_head: bool,
    /// The path below the route's own, as it came; begins with a slash, or is empty.
    rest: String,
    /// Where the same is found with a slash at its end.
    with_slash: String,
    fields: HeaderMap,
}

impl Files {
    /// Serves the files below `root` by the default settings. The directory is opened with each request, so it
    /// may be made later, or be a link that is swapped.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self::of(root.as_ref(), FilesSettings::default(), CachePolicy::default())
    }

    /// Serves the files below `root` by these settings, if they can be meant. Reads no files.
    pub fn with_settings(root: impl AsRef<Path>, settings: FilesSettings) -> Result<Self, FilesError> {
        settings.check()?;
        let cache = CachePolicy::new(&settings.cache)?;
        Ok(Self::of(root.as_ref(), settings, cache))
    }

    /// The directory, as it was given.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Answers a request of that route. Everything that may wait for a disk happens on a thread for such things.
    pub(crate) async fn serve(&self, route: &Route, request: Request<Body>) -> Result<Response<Body>, Error> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            let error = Error::new(Kind::MethodNotAllowed, Origin::Client, "files are read by GET or HEAD");
            return Err(error.allow("GET, HEAD"));
        }
        let (head, _) = request.into_parts();
        let path = head.uri.path();
        let rest = path.strip_prefix(route.matched(path)).unwrap_or_default();
        let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (rest, with_slash) = (rest.to_owned(), format!("{path}/{query}"));
        let ask = Ask { is_head, rest, with_slash, fields: head.headers };
        let site = self.site.clone();
        let answered = tokio::task::spawn_blocking(move || site.serve(&ask)).await;
        answered.unwrap_or_else(|lost| Err(unreadable().with_source(lost)))
    }

    fn of(root: &Path, settings: FilesSettings, cache: CachePolicy) -> Self {
        let site = Site { root: root.to_owned(), settings, cache };
        Self { name: root.display().to_string().into(), site: Arc::new(site) }
    }
}

/// What a client is told of an error of the file system; the cause is for the log.
fn failed(error: io::Error) -> Error {
    if is_absent(&error) {
        return Error::new(Kind::NotFound, Origin::Client, "there is no such file");
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::new(Kind::Forbidden, Origin::Internal, "the file may not be read").with_source(error)
        }
        _ => unreadable().with_source(error),
    }
}

fn unreadable() -> Error {
    Error::new(Kind::Internal, Origin::Internal, "the file cannot be read")
}

/// Whether there is nothing of that name, or nothing that may be served.
fn is_absent(error: &io::Error) -> bool {
    let absent = [Errno::NOTDIR, Errno::LOOP, Errno::XDEV, Errno::NAMETOOLONG, Errno::NXIO];
    error.kind() == io::ErrorKind::NotFound
        || Errno::from_io_error(error).is_some_and(|errno| absent.contains(&errno))
}

#[cfg(test)]
mod tests;
