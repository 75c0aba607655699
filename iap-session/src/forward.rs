//! What is handed on to applications behind the gateway: headers, and tokens for the session API.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use metrics::{Counter, counter};
use parking_lot::Mutex;

use crate::handle::Session;
use crate::id::random;

/// The header with the token for the session API; good until the response head is out.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("iap-session-token");
/// The header with the base URL of the session API.
pub const URL_HEADER: HeaderName = HeaderName::from_static("iap-session-url");
/// The header with the name of the user who is logged in, in UTF-8.
pub const USER_HEADER: HeaderName = HeaderName::from_static("iap-user");

/// Removes what a client has sent under our names. Underscores count as hyphens: CGI-like
/// applications cannot tell `iap_user` from `iap-user` (RFC 3875, section 4.1.18).
pub(crate) fn strip(headers: &mut HeaderMap) {
    let ours = |name: &HeaderName| {
        let is = |own: &HeaderName| {
            let pairs = name.as_str().bytes().zip(own.as_str().bytes());
            name.as_str().len() == own.as_str().len()
                && pairs.into_iter().all(|(sent, own)| sent == own || (sent == b'_' && own == b'-'))
        };
        [TOKEN_HEADER, URL_HEADER, USER_HEADER].iter().any(is)
    };
    let forged: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

/// The live requests of this process by their tokens.
///
/// Bounded: when it is full, a request is forwarded without a token, which is counted. A token is
/// 32 random bytes; it is gone as soon as its request's response head is committed, or its
/// client has left.
pub struct TokenRegistry {
    shards: Box<[Mutex<HashMap<Token, Session>>]>,
    per_shard: usize,
    refused: Counter,
}

type Token = [u8; 32];

const SHARDS: usize = 16;

impl TokenRegistry {
    /// A registry for about `capacity` requests at a time.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: capacity.div_ceil(SHARDS).max(1),
            refused: counter!("iap_session_tokens_refused_total"),
        })
    }

    /// The session of the live request that has this token.
    pub fn resolve(&self, token: &str) -> Option<Session> {
        let mut bytes = [0; 33];
        if token.len() != 43 {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let token: Token = bytes[..length].try_into().ok()?;
        self.shard(&token).lock().get(&token).cloned()
    }

    /// How many requests have a token right now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether no request has a token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn register(self: &Arc<Self>, session: Session) -> Option<TokenGuard> {
        let token: Token = random();
        let mut shard = self.shard(&token).lock();
        if shard.len() >= self.per_shard {
            self.refused.increment(1);
            return None;
        }
        shard.insert(token, session);
        Some(TokenGuard { registry: self.clone(), token })
    }

    fn shard(&self, token: &Token) -> &Mutex<HashMap<Token, Session>> {
        &self.shards[usize::from(token[0]) % SHARDS]
    }
}

/// Keeps a token valid.
pub(crate) struct TokenGuard {
    registry: Arc<TokenRegistry>,
    token: Token,
}

impl TokenGuard {
    pub(crate) fn header(&self) -> HeaderValue {
        let mut value =
            HeaderValue::try_from(URL_SAFE_NO_PAD.encode(self.token)).expect("base64url is ASCII");
        value.set_sensitive(true);
        value
    }
}

impl Drop for TokenGuard {
    fn drop(&mut self) {
        self.registry.shard(&self.token).lock().remove(&self.token);
    }
}
