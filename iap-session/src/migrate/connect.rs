//! `connect-redis` of Express: a string of JSON for each session, `sess:<id>`.
//!
//! The cookie is `s:<id>.<signature>`, percent-encoded. The signature is HMAC-SHA256 in base64 without padding; a cookie
//! whose signature is wrong is nobody's.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value};

use crate::error::{StoreError, StoreErrorKind};
use crate::redis::RedisConfig;
use crate::redis::reader::Reader;
use crate::store::BoxFuture;

use super::keys::{check_prefix, of_kind, page};
use super::value::{Values, as_name};
use super::{Candidate, ForeignSession, Page, Source, Unreadable, time};

/// How long a session without an age of its cookie lives there.
const DEFAULT_IDLE_MS: u64 = 86_400_000;
/// The longest session that is read.
const MAX_BYTES: usize = 4 << 20;

/// Sessions of Express.
pub struct Connect {
    reader: Reader,
    prefix: String,
    secrets: Vec<hmac::Key>,
    user: Option<String>,
}

impl Connect {
    /// What keys begin with, where nothing else is said.
    pub const PREFIX: &str = "sess:";

    /// Sessions in the Redis of an application; connections are made with the first question. `secrets` are those of `express-session`, of which any may have signed a
    /// cookie. `user` is the path of the user's name in a session, such as `user.name`; that of Passport is known
    /// without it.
    ///
    /// # Errors
    ///
    /// `Invalid` without secrets, or for wrong settings.
    pub fn new(
        config: &RedisConfig,
        prefix: &str,
        secrets: &[String],
        user: Option<String>,
    ) -> Result<Self, StoreError> {
        check_prefix(prefix)?;
        if secrets.is_empty() || secrets.iter().any(String::is_empty) {
            let text = "the secret of the old cookies is needed: without it anybody could make one";
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        let secrets = secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        let (secrets, reader) = (secrets.collect(), Reader::new(config)?);
        Ok(Self { reader, prefix: prefix.to_owned(), secrets, user })
    }

    async fn read(&self, id: String) -> Result<Option<Candidate>, StoreError> {
        let key = format!("{}{id}", self.prefix);
        let session = match of_kind(self.reader.string(&key).await)? {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => {
                let left_ms = self.reader.left_ms(&key).await?;
                decode(&bytes, left_ms, self.reader.now_ms(), self.user.as_deref())
            }
            Err(reason) => Err(reason),
        };
        Ok(Some(Candidate { id, session }))
    }
}

impl Source for Connect {
    fn system(&self) -> &'static str {
        "connect"
    }

    fn id(&self, cookie: &str) -> Option<String> {
        id_of(cookie, &self.secrets)
    }

    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        Box::pin(async move {
            match self.id(cookie) {
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

/// The id in a signed cookie.
pub(super) fn id_of(cookie: &str, secrets: &[hmac::Key]) -> Option<String> {
    let text = percent_decoded(cookie)?;
    let (id, signature) = text.strip_prefix("s:")?.rsplit_once('.')?;
    if !is_id(id) {
        return None;
    }
    let signature = STANDARD_NO_PAD.decode(signature).ok()?;
    let signed = secrets.iter().any(|key| hmac::verify(key, id.as_bytes(), &signature).is_ok());
    signed.then(|| id.to_owned())
}

/// Applications may make ids of their own.
fn is_id(id: &str) -> bool {
    (8..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}

/// Reads a session. `left_ms` is how long its key lives yet.
pub(super) fn decode(
    bytes: &[u8],
    left_ms: Option<u64>,
    now_ms: u64,
    user: Option<&str>,
) -> Result<ForeignSession, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable("too long"));
    }
    let fields: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|_| Unreadable("no JSON object"))?;
    let cookie = fields.get("cookie").and_then(Value::as_object).ok_or(Unreadable("no cookie in it"))?;
    let expires_ms = cookie.get("expires").and_then(Value::as_str).and_then(time::from_iso);
    let age_ms = cookie.get("originalMaxAge").and_then(Value::as_u64).filter(|age| *age > 0);
    // The end that the cookie has, else that of the key; a key without an end never ends.
    let (idle, accessed_ms) = match (expires_ms, left_ms) {
        (Some(expires_ms), _) => {
            let idle_ms = age_ms.unwrap_or_else(|| expires_ms.saturating_sub(now_ms));
            (Some(idle_ms), expires_ms.saturating_sub(idle_ms))
        }
        (None, Some(left_ms)) => {
            let idle_ms = left_ms.max(DEFAULT_IDLE_MS);
            (Some(idle_ms), now_ms.saturating_add(left_ms).saturating_sub(idle_ms))
        }
        (None, None) => (None, now_ms),
    };
    let mut values = Values::default();
    for (name, value) in fields {
        if name != "cookie" {
            values.set(&name, value);
        }
    }
    let passport = || {
        values.user_at("passport.user").or_else(|| {
            let user = values.attributes.get("passport")?.get("user")?;
            ["username", "name", "id"].iter().find_map(|name| user.get(name).and_then(as_name))
        })
    };
    let user = match user {
        Some(path) => values.user_at(path),
        None => passport(),
    };
    Ok(ForeignSession {
        created_ms: accessed_ms.min(now_ms),
        accessed_ms,
        idle: idle.map(Duration::from_millis),
        user,
        attributes: values.attributes,
        opaque: values.opaque,
    })
}
