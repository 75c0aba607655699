//! Tomcat's `FileStore`: one file a session, `<id>.session`, a Java stream of the session's fields.
//!
//! The fields are those that `StandardSession.writeObjectData` writes. What stands between the id and the number
//! of attributes (who is logged in, and how) differs between versions: it is read as far as it is there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::store::BoxFuture;

use super::java::{Id, Stream};
use super::value::Values;
use super::{Candidate, ForeignSession, Page, Source, Unreadable};

/// The longest file that is read.
const MAX_FILE: u64 = 4 << 20;
/// Files of one page.
const PAGE: usize = 200;
/// The most attributes.
const MAX_ATTRIBUTES: i64 = 4096;
/// How many objects may stand between the id and the number of attributes.
const MAX_BETWEEN: usize = 8;

/// The directory of a Tomcat `FileStore`.
#[derive(Clone)]
pub struct TomcatFiles {
    directory: PathBuf,
    user: Option<String>,
}

impl TomcatFiles {
    /// Sessions in `directory`. `user` is the attribute with the user's name, for applications that keep it
    /// themselves; who has logged in to Tomcat is known without it.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is no directory.
    pub fn new(directory: impl Into<PathBuf>, user: Option<String>) -> Result<Self, StoreError> {
        let directory = directory.into();
        if !directory.is_dir() {
            let text = format!("{} is no directory", directory.display());
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        Ok(Self { directory, user })
    }

    /// Reads files where that holds nobody up.
    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let files = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&files)).await;
            done.map_err(|_| StoreError::new(StoreErrorKind::Unavailable, "the process ends"))?
        })
    }

    fn read(&self, file: &Path) -> Result<Option<Candidate>, StoreError> {
        let mut bytes = Vec::new();
        let read = fs::File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let text = "a session file cannot be read";
                return Err(StoreError::new(StoreErrorKind::Unavailable, text).with_source(error));
            }
        }
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let session = if bytes.len() as u64 > MAX_FILE {
            Err(Unreadable("the file is too long"))
        } else {
            decode(&bytes, self.user.as_deref())
        };
        Ok(Some(Candidate { id: without_route(name).to_owned(), session }))
    }

    fn page(&self, after: Option<String>) -> Result<Page, StoreError> {
        let failed = |error: std::io::Error| {
            StoreError::new(StoreErrorKind::Unavailable, "the directory of sessions cannot be read")
                .with_source(error)
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().into_string().unwrap_or_default();
            let is_session = name.strip_suffix(".session").is_some_and(is_id);
            if is_session && after.as_ref().is_none_or(|after| name > *after) {
                names.push(name);
            }
        }
        names.sort_unstable();
        let next = (names.len() > PAGE).then(|| names[PAGE - 1].clone());
        names.truncate(PAGE);
        let mut sessions = Vec::new();
        for name in names {
            sessions.extend(self.read(&self.directory.join(name))?);
        }
        Ok(Page { sessions, next })
    }
}

impl Source for TomcatFiles {
    fn system(&self) -> &'static str {
        "tomcat"
    }

    fn id(&self, cookie: &str) -> Option<String> {
        is_id(cookie).then(|| without_route(cookie).to_owned())
    }

    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        if !is_id(cookie) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        // The id itself may have the route, or only the cookie.
        let names = [cookie, without_route(cookie)].map(|id| self.directory.join(format!("{id}.session")));
        self.beside(move |files| {
            let found = names.iter().map(|name| files.read(name)).find(|read| !matches!(read, Ok(None)));
            found.unwrap_or(Ok(None))
        })
    }

    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.beside(move |files| files.page(cursor))
    }
}

/// Letters, digits and what ids of Tomcat have besides; never a way out of the directory.
pub(super) fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (8..=128).contains(&id.len()) && id.bytes().all(allowed) && !id.contains("..") && !id.starts_with('.')
}

/// What stands before the first dot: the rest says which server a load balancer should ask.
pub(super) fn without_route(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

/// Reads a session's file.
pub(super) fn decode(bytes: &[u8], user: Option<&str>) -> Result<ForeignSession, Unreadable> {
    const MALFORMED: Unreadable = Unreadable("the file is no session of Tomcat");
    let stream = Stream::parse(bytes).map_err(|_| Unreadable("the file is no readable Java stream"))?;
    let mut objects = stream.top().iter().copied();
    let mut next = || objects.next().ok_or(MALFORMED);
    let number = |id: Id| stream.json(id).and_then(|value| value.as_i64()).ok_or(MALFORMED);
    let (created, accessed, idle) = (number(next()?)?, number(next()?)?, number(next()?)?);
    let (_new, valid, this_accessed) = (next()?, next()?, number(next()?)?);
    if stream.json(valid) == Some(false.into()) {
        return Err(Unreadable("the session is not valid any more"));
    }
    stream.text(next()?).ok_or(MALFORMED)?;
    let mut principal = None;
    let mut count = None;
    for _ in 0..MAX_BETWEEN {
        let id = next()?;
        if stream.class_name(id) == "java.lang.Integer" {
            count = Some(number(id)?);
            break;
        }
        principal = principal.or_else(|| stream.object_field(id, "name").and_then(|name| stream.text(name)));
    }
    let count = count.filter(|count| (0..=MAX_ATTRIBUTES).contains(count)).ok_or(MALFORMED)?;
    let mut values = Values::default();
    for _ in 0..count {
        let (name, value) = (next()?, next()?);
        values.add_java(stream.text(name).ok_or(MALFORMED)?, &stream, value);
    }
    let user = principal.map(str::to_owned).or_else(|| values.user_at(user?));
    Ok(ForeignSession {
        created_ms: u64::try_from(created).map_err(|_| MALFORMED)?,
        accessed_ms: u64::try_from(accessed.max(this_accessed)).map_err(|_| MALFORMED)?,
        // Zero and less mean: never.
        idle: u64::try_from(idle).ok().filter(|idle| *idle > 0).map(Duration::from_secs),
        user,
        attributes: values.attributes,
        opaque: values.opaque,
    })
}
