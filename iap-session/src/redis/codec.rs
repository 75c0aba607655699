//! The stored form of a session: one hash.
//!
//! | field | meaning |
//! |---|---|
//! | `_f` | format, `1` |
//! | `_st` | `a` active, `r:<key>` rotated, `x:<reason>` ended, `t` taken over and gone |
//! | `_v` | version |
//! | `_c` `_la` | created, last access (Unix ms) |
//! | `_idle` `_abs` | idle time (ms), absolute deadline (Unix ms) |
//! | `_u` `_h` | user and handle, only while somebody is logged in |
//! | `_bd` | what it is bound to, where something is |
//! | `_op` | the last writes, `<op>=<version>` separated by blanks |
//! | `_n` `_b` | number and bytes of the attributes |
//! | `_cl` | of a session that was taken over: when its key goes (Unix ms) |
//! | `_fu` `_ru` | until when it is found by its foreign id; by this key after a rotation |
//! | `_ip` `_lip` | address of the client that created it, that logged in |
//! | `_node` `_rt` | gateway and route that created it |
//! | `a:<name>` | `j` and the attribute as JSON |

use std::str::FromStr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use fred::error::{Error, ErrorKind};
use fred::types::{FromValue, Value};

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionKey};
use crate::provenance::{ClientAddress, Provenance};
use crate::record::{Attributes, Record, Summary, Taken};
use crate::write::Reason;

/// What a hash says.
pub(super) enum Stored {
    Live(Box<Record>),
    Rotated(SessionKey),
    Ended(Reason),
    /// Nothing, but that there was one.
    Taken,
}

/// The fields of a summary, in the order that [`summary`] reads them.
pub(super) const SUMMARY_FIELDS: [&str; 13] =
    ["_st", "_v", "_c", "_la", "_idle", "_abs", "_u", "_n", "_b", "_ip", "_lip", "_node", "_rt"];

/// What tells whether a session stands.
pub(super) const STANDING_FIELDS: [&str; 5] = ["_st", "_ru", "_la", "_idle", "_abs"];

/// A hash as the server sends it.
#[derive(Default)]
pub(super) struct Hash {
    /// Few, so that they are searched one by one.
    fields: Vec<(Bytes, Bytes)>,
    /// By their names, still encoded.
    attributes: Vec<(Bytes, Bytes)>,
}

impl Hash {
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.attributes.is_empty()
    }

    fn add(&mut self, mut name: Bytes, value: Bytes) {
        if name.starts_with(b"a:") {
            name.advance(2);
            self.attributes.push((name, value));
        } else {
            self.fields.push((name, value));
        }
    }

    fn get(&self, field: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    fn text(&self, field: &str) -> Result<&str, StoreError> {
        self.optional(field)?.ok_or_else(|| corrupt(format!("the session has no field `{field}`")))
    }

    fn optional(&self, field: &str) -> Result<Option<&str>, StoreError> {
        let text = self.get(field).map(|bytes| std::str::from_utf8(bytes)).transpose();
        text.map_err(|_| corrupt(format!("the session's field `{field}` is not text")))
    }

    fn number(&self, field: &str) -> Result<u64, StoreError> {
        self.time(field)?.ok_or_else(|| corrupt(format!("the session has no field `{field}`")))
    }

    fn time(&self, field: &str) -> Result<Option<u64>, StoreError> {
        let number = self.optional(field)?.map(str::parse).transpose();
        number.map_err(|_| corrupt(format!("the session's field `{field}` is not a number")))
    }
}

/// Pairs in an array, or a map with RESP3.
impl FromValue for Hash {
    fn from_value(value: Value) -> Result<Self, Error> {
        let wrong = || Error::new(ErrorKind::Parse, "a hash has fields with values");
        let mut hash = Self::default();
        match value {
            Value::Array(items) => {
                hash.fields.reserve(items.len() / 2);
                let mut items = items.into_iter();
                while let Some(name) = items.next() {
                    let value = items.next().and_then(Value::into_bytes).ok_or_else(wrong)?;
                    hash.add(name.into_bytes().ok_or_else(wrong)?, value);
                }
            }
            Value::Map(map) => {
                for (name, value) in map.inner() {
                    hash.add(name.into_bytes(), value.into_bytes().ok_or_else(wrong)?);
                }
            }
            _ => return Err(wrong()),
        }
        Ok(hash)
    }
}

pub(super) fn decode(key: SessionKey, hash: &Hash, now_ms: u64) -> Result<Stored, StoreError> {
    let state = hash.text("_st")?;
    if hash.time("_ru")?.is_some_and(|until_ms| now_ms >= until_ms) {
        return Ok(Stored::Taken);
    }
    if state != "a" {
        return decode_state(state);
    }
    if hash.text("_f")? != "1" {
        return Err(corrupt("the session has an unknown format"));
    }
    let decode = |(name, value): &(Bytes, Bytes)| {
        let name = std::str::from_utf8(name).map_err(|_| corrupt("an attribute's name is not text"))?;
        Ok((name.to_owned(), decode_value(value)?))
    };
    let attributes = hash.attributes.iter().map(decode).collect::<Result<Attributes, StoreError>>()?;
    let facts = ["_ip", "_lip", "_node", "_rt"].map(|field| hash.optional(field));
    let [address, login, node, route] = facts;
    let foreign_until_ms = hash.time("_fu")?;
    Ok(Stored::Live(Box::new(Record {
        key,
        version: hash.number("_v")?,
        created_ms: hash.number("_c")?,
        accessed_ms: hash.number("_la")?,
        idle_ms: hash.number("_idle")?,
        absolute_ms: hash.number("_abs")?,
        user: hash.optional("_u")?.map(Arc::from),
        handle: hash.optional("_h")?.unwrap_or_default().into(),
        binding: hash.optional("_bd")?.map(Arc::from),
        provenance: provenance(address?, login?, node?, route?),
        attributes,
        recent: decode_recent(hash.optional("_op")?.unwrap_or_default()),
        taken: hash.time("_cl")?.map(|until_ms| Taken { until_ms, foreign_until_ms }),
    })))
}

/// Reads a state other than `a`.
pub(super) fn decode_state(state: &str) -> Result<Stored, StoreError> {
    if state == "t" {
        return Ok(Stored::Taken);
    }
    if let Some(key) = state.strip_prefix("r:").and_then(SessionKey::from_hex) {
        return Ok(Stored::Rotated(key));
    }
    if let Some(reason) = state.strip_prefix("x:").and_then(Reason::parse) {
        return Ok(Stored::Ended(reason));
    }
    Err(corrupt("the session has an unknown state"))
}

/// Whether a session lives or has gone on under another key, by [`STANDING_FIELDS`].
pub(super) fn stands(fields: &[Option<String>], now_ms: u64) -> bool {
    let [state, reserved, accessed, idle, absolute] = fields else { return false };
    let int = |field: &Option<String>| u64::from_str(field.as_deref()?).ok();
    if int(reserved).is_some_and(|until_ms| now_ms >= until_ms) {
        return false;
    }
    match state.as_deref() {
        Some("a") => {
            let ends_ms = int(accessed).zip(int(idle)).map(|(accessed, idle)| accessed.saturating_add(idle));
            ends_ms.zip(int(absolute)).is_some_and(|(idle, absolute)| now_ms < idle.min(absolute))
        }
        Some(other) => matches!(decode_state(other), Ok(Stored::Rotated(_))),
        None => false,
    }
}

/// Reads the reply of an HMGET; `None` if the session is not live.
pub(super) fn summary(key: SessionKey, fields: &[Option<String>], now_ms: u64) -> Option<Summary> {
    let [state, version, created, accessed, idle, absolute, user, count, bytes, facts @ ..] = fields else {
        return None;
    };
    let [address, login, node, route] = facts else { return None };
    if state.as_deref() != Some("a") {
        return None;
    }
    let int = |field: &Option<String>| u64::from_str(field.as_deref()?).ok();
    let accessed_ms = int(accessed)?;
    let deadline_ms = accessed_ms.saturating_add(int(idle)?).min(int(absolute)?);
    (deadline_ms > now_ms).then_some(Summary {
        key,
        user: user.as_deref().map(Arc::from),
        version: int(version)?,
        created_ms: int(created)?,
        accessed_ms,
        deadline_ms,
        attributes: usize::try_from(int(count)?).ok()?,
        bytes: usize::try_from(int(bytes)?).ok()?,
        provenance: provenance(address.as_deref(), login.as_deref(), node.as_deref(), route.as_deref()),
    })
}

/// What cannot be read of it is as good as not known: it decides nothing.
fn provenance(
    address: Option<&str>,
    login: Option<&str>,
    node: Option<&str>,
    route: Option<&str>,
) -> Provenance {
    let read = |text: Option<&str>| text.and_then(|text| text.parse::<ClientAddress>().ok());
    Provenance {
        address: read(address),
        login_address: read(login),
        node: node.map(Arc::from),
        route: route.map(Arc::from),
    }
}

/// The fields of it that are known.
pub(super) fn encode_provenance(from: &Provenance) -> impl Iterator<Item = (&'static str, String)> {
    let address = |address: Option<ClientAddress>| address.map(|address| address.to_string());
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let fields = [
        ("_ip", address(from.address)),
        ("_lip", address(from.login_address)),
        ("_node", text(&from.node)),
        ("_rt", text(&from.route)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

pub(super) fn encode_value(value: &serde_json::Value) -> String {
    format!("j{value}")
}

pub(super) fn encode_recent(recent: &[(OpId, u64)]) -> String {
    recent.iter().map(|(op, version)| format!("{op}={version}")).collect::<Vec<_>>().join(" ")
}

fn decode_value(bytes: &[u8]) -> Result<serde_json::Value, StoreError> {
    match bytes.split_first() {
        // The parser's message could quote the value; it is left out.
        Some((b'j', json)) => serde_json::from_slice(json).map_err(|_| corrupt("an attribute is not JSON")),
        _ => Err(corrupt("an attribute has an unknown encoding")),
    }
}

fn decode_recent(recent: &str) -> Vec<(OpId, u64)> {
    let entry = |entry: &str| {
        let (op, version) = entry.split_once('=')?;
        Some((OpId::from_hex(op)?, version.parse().ok()?))
    };
    recent.split(' ').filter_map(entry).collect()
}

pub(super) fn corrupt(text: impl Into<std::borrow::Cow<'static, str>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, text)
}
