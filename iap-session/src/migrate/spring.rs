//! Spring Session in Redis: a hash for each session, `<namespace>:sessions:<id>`. The indexed repository has the same
//! hash, and sets and marks beside it, which are not needed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::error::StoreError;
use crate::redis::RedisConfig;
use crate::redis::reader::Reader;
use crate::store::BoxFuture;

use super::java::{MAGIC, Stream};
use super::keys::{check_prefix, of_kind, page};
use super::value::{Values, as_name, number};
use super::{Candidate, ForeignSession, Page, Source, Unreadable};

/// The attribute that Spring Session itself looks for a user's name in.
const PRINCIPAL_NAME: &str =
    "org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";
/// The attribute that Spring Security keeps who has logged in in.
const SECURITY_CONTEXT: &str = "SPRING_SECURITY_CONTEXT";
/// The most fields of a hash that are read.
const MAX_FIELDS: usize = 4096;

/// Sessions of Spring Session.
pub struct Spring {
    reader: Reader,
    prefix: String,
    user: Option<String>,
}

impl Spring {
    /// What Spring calls the namespace, where nothing else is said.
    pub const NAMESPACE: &str = "spring:session";

    /// Sessions in the Redis of an application; connections are made with the first question. `user` is the attribute with the user's name, for applications that
    /// keep it themselves; who has logged in by Spring Security is known without it.
    ///
    /// # Errors
    ///
    /// `Invalid` for wrong settings.
    pub fn new(config: &RedisConfig, namespace: &str, user: Option<String>) -> Result<Self, StoreError> {
        check_prefix(namespace)?;
        Ok(Self { reader: Reader::new(config)?, prefix: format!("{namespace}:sessions:"), user })
    }

    async fn read(&self, id: String) -> Result<Option<Candidate>, StoreError> {
        let session = match of_kind(self.reader.hash(&format!("{}{id}", self.prefix)).await)? {
            Ok(fields) if fields.is_empty() => return Ok(None),
            Ok(fields) => decode(&fields, self.user.as_deref()),
            Err(reason) => Err(reason),
        };
        Ok(Some(Candidate { id, session }))
    }
}

impl Source for Spring {
    fn system(&self) -> &'static str {
        "spring"
    }

    fn id(&self, cookie: &str) -> Option<String> {
        id_of(cookie)
    }

    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        Box::pin(async move {
            match id_of(cookie) {
                Some(id) => self.read(id).await,
                None => Ok(None),
            }
        })
    }

    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let id = |rest: &str| is_id(rest).then(|| rest.to_owned());
        Box::pin(page(&self.reader, &self.prefix, cursor, id, |id| self.read(id)))
    }
}

/// The cookie is the id in base64, perhaps with a dot and the name of a server; or all that as it is.
fn id_of(cookie: &str) -> Option<String> {
    let decoded = STANDARD.decode(cookie).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.filter(|text| is_id(without_route(text))).unwrap_or_else(|| cookie.to_owned());
    let id = without_route(&text);
    is_id(id).then(|| id.to_owned())
}

fn without_route(id: &str) -> &str {
    id.split_once('.').map_or(id, |(id, _)| id)
}

/// A UUID, or what another generator may have made. Never a colon: those are keys of something else.
fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (16..=128).contains(&id.len()) && id.bytes().all(allowed)
}

/// Reads the fields of a session's hash.
pub(super) fn decode(fields: &[(Vec<u8>, Bytes)], user: Option<&str>) -> Result<ForeignSession, Unreadable> {
    if fields.len() > MAX_FIELDS {
        return Err(Unreadable("too many fields"));
    }
    let field =
        |name: &str| fields.iter().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| value);
    let time = |name: &str| field(name).and_then(|bytes| number(bytes)).and_then(|ms| u64::try_from(ms).ok());
    let created_ms = time("creationTime").ok_or(Unreadable("no creation time that can be read"))?;
    let accessed_ms = time("lastAccessedTime").unwrap_or(created_ms);
    let idle = field("maxInactiveInterval").and_then(|bytes| number(bytes));
    let idle = idle.ok_or(Unreadable("no interval of inactivity that can be read"))?;
    let mut values = Values::default();
    let mut principal = None;
    for (name, bytes) in fields {
        let Some(name) = name.strip_prefix(b"sessionAttr:") else { continue };
        let Ok(name) = std::str::from_utf8(name) else {
            return Err(Unreadable("an attribute's name is not UTF-8"));
        };
        if name == SECURITY_CONTEXT {
            principal = principal_of(bytes);
        }
        values.add(name, bytes);
    }
    let named = user.and_then(|path| values.user_at(path));
    let indexed = values.attributes.get(PRINCIPAL_NAME).and_then(as_name);
    Ok(ForeignSession {
        created_ms,
        accessed_ms,
        // Negative: it never ends.
        idle: u64::try_from(idle).ok().map(Duration::from_secs),
        user: named.or(indexed).or(principal),
        attributes: values.attributes,
        opaque: values.opaque,
    })
}

/// The user's name in a security context: its authentication's principal, or the name of that.
fn principal_of(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(&MAGIC) {
        let stream = Stream::parse(bytes).ok()?;
        let authentication = stream.object_field(*stream.top().first()?, "authentication")?;
        let principal = stream.object_field(authentication, "principal")?;
        let named = |field| stream.object_field(principal, field).and_then(|id| stream.text(id));
        return stream
            .text(principal)
            .or_else(|| named("username"))
            .or_else(|| named("name"))
            .map(Into::into);
    }
    let context: Value = serde_json::from_slice(bytes).ok()?;
    let principal = context.get("authentication")?.get("principal")?;
    as_name(principal).or_else(|| as_name(principal.get("username").or_else(|| principal.get("name"))?))
}
