//! Session ids: the secret in the cookie, and the keyed hash that everything else sees.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{StoreError, StoreErrorKind};

/// The secret in the cookie: 32 random bytes. Whoever has it has the session.
///
/// `Debug` shows nothing of it, and there is no `Display`: [`SessionId::encode`] is for the
/// cookie only.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// Length of the encoded form.
    pub const ENCODED_LEN: usize = 43;

    /// The cookie value: base64url without padding (RFC 4648, section 5).
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is to be hashed and never kept.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.0
    }

    /// Reads a cookie value; `None` unless it has exactly the canonical form of an id.
    pub fn decode(value: &str) -> Option<Self> {
        if value.len() != Self::ENCODED_LEN {
            return None;
        }
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
        Some(Self(bytes[..length].try_into().ok()?))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The keyed hash of a [`SessionId`]: the key in the store and the name that operators use.
/// It cannot be turned back into a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key as raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the 64 hexadecimal digits of [`SessionKey`]'s `Display`.
    pub fn from_hex(hex: &str) -> Option<Self> {
        blake3::Hash::from_hex(hex).ok().map(|hash| Self(*hash.as_bytes()))
    }

    /// The first 16 digits: enough to tell sessions apart in telemetry.
    pub fn short(&self) -> String {
        hex(&self.0[..8])
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl serde::Serialize for SessionKey {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SessionKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not the key of a session"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({})", self.short())
    }
}

/// Makes ids and hashes them with the configured secret.
///
/// All gateways of one cluster need the same secret; with another one, every session is unknown.
#[derive(Clone)]
pub struct SessionIds {
    keys: Arc<Keys>,
}

struct Keys {
    sessions: [u8; 32],
    users: [u8; 32],
    traits: [u8; 32],
    audience: [u8; 32],
    foreign: [u8; 32],
}

/// What becomes of a session id of another system: the id that a client is given in its place, and the key
/// of that. Both follow from the foreign id and the secret, so that whoever meets the same foreign id
/// comes to the same session; from the foreign id alone nobody learns them.
#[derive(Debug, Clone)]
pub struct Foreign {
    id: SessionId,
    key: SessionKey,
}

impl Foreign {
    /// The id for the cookie.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The key that the session is [imported](crate::SessionStore::import) under.
    pub fn key(&self) -> SessionKey {
        self.key
    }
}

impl SessionIds {
    /// The shortest secret that is accepted, in bytes.
    pub const MIN_SECRET: usize = 16;

    /// Derives the hashing keys from `secret`.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if the secret is shorter than [`SessionIds::MIN_SECRET`].
    pub fn new(secret: &[u8]) -> Result<Self, StoreError> {
        if secret.len() < Self::MIN_SECRET {
            let text = format!("the session secret needs at least {} bytes", Self::MIN_SECRET);
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        Ok(Self::derive(secret))
    }

    /// Keys from a secret that lives as long as this process: for one process with a memory store.
    pub fn ephemeral() -> Self {
        Self::derive(&random::<32>())
    }

    /// A new id and its key.
    pub fn generate(&self) -> (SessionId, SessionKey) {
        let id = SessionId(random());
        let key = self.key(&id);
        (id, key)
    }

    /// The key of an id.
    pub fn key(&self, id: &SessionId) -> SessionKey {
        SessionKey(*blake3::keyed_hash(&self.keys.sessions, &id.0).as_bytes())
    }

    /// What an id of another system leads to. `system` is its name: the same id in two systems is two sessions.
    pub fn foreign(&self, system: &str, id: &str) -> Foreign {
        let mut hasher = blake3::Hasher::new_keyed(&self.keys.foreign);
        hasher.update(&(system.len() as u64).to_be_bytes()).update(system.as_bytes()).update(id.as_bytes());
        let id = SessionId(*hasher.finalize().as_bytes());
        let key = self.key(&id);
        Foreign { id, key }
    }

    /// The keyed hash of a user name, as hexadecimal digits: what an index may hold.
    pub fn user_key(&self, user: &str) -> String {
        hex(&blake3::keyed_hash(&self.keys.users, user.as_bytes()).as_bytes()[..16])
    }

    /// The keyed hash of what tells a client apart, as hexadecimal digits.
    pub(crate) fn traits_key(&self, traits: &[u8]) -> String {
        hex(&blake3::keyed_hash(&self.keys.traits, traits).as_bytes()[..8])
    }

    /// What an [`Audience`](crate::audience::Audience) hashes with: the same on all nodes with this secret.
    pub fn audience_key(&self) -> [u8; 32] {
        self.keys.audience
    }

    fn derive(secret: &[u8]) -> Self {
        let keys = Keys {
            sessions: blake3::derive_key("iap-session 2026 session key", secret),
            users: blake3::derive_key("iap-session 2026 user key", secret),
            traits: blake3::derive_key("iap-session 2026 traits key", secret),
            audience: blake3::derive_key("iap-session 2026 audience key", secret),
            foreign: blake3::derive_key("iap-session 2026 foreign id", secret),
        };
        Self { keys: Arc::new(keys) }
    }
}

impl fmt::Debug for SessionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionIds(..)")
    }
}

/// Names one write, so that a repetition of it is recognised and has no second effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId([u8; 12]);

impl OpId {
    /// A new name. Nobody has to guess at names, so the system is asked once a thread: the rest is counting.
    pub fn random() -> Self {
        thread_local!(static NEXT: Cell<([u8; 8], u32)> = const { Cell::new(([0; 8], 0)) });
        let (mut start, mut count) = NEXT.get();
        if count == 0 {
            start = random();
        }
        count = count.wrapping_add(1);
        NEXT.set((start, count));
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&start);
        bytes[8..].copy_from_slice(&count.to_be_bytes());
        Self(bytes)
    }

    /// Reads the digits of `Display`.
    pub fn from_hex(digits: &str) -> Option<Self> {
        if digits.len() != 24 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A map of what is random already, such as keyed hashes: nobody can choose keys that meet, so that nothing
/// is hashed again.
pub(crate) type RandomKeyed<K, V> = HashMap<K, V, BuildHasherDefault<AsItIs>>;

/// The hasher of [`RandomKeyed`]: the last eight bytes of the key.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Random bytes of the operating system. Without randomness there is no safe way on.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a source of randomness");
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
