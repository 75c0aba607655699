//! What is handed on to applications behind the gateway: headers, and tokens for the session API.

use std::cell::RefCell;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use metrics::{Counter, counter};
use parking_lot::Mutex;

use crate::handle::Session;
use crate::id::{RandomKeyed, random};

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
        let name = name.as_str();
        let own = match name.len() {
            17 => TOKEN_HEADER,
            15 => URL_HEADER,
            8 => USER_HEADER,
            _ => return false,
        };
        name.bytes().zip(own.as_str().bytes()).all(|(sent, own)| sent == own || (sent == b'_' && own == b'-'))
    };
    let forged: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

/// The live requests of this process by their tokens.
///
/// Bounded: when it is full, a request is forwarded without a token, which is counted. A token is
/// 16 random bytes; it is gone as soon as its request's response head is committed, or its
/// client has left.
pub struct TokenRegistry {
    shards: Box<[Mutex<Live>]>,
    per_shard: usize,
    refused: Counter,
}

type Token = u128;
type Live = RandomKeyed<Token, Session>;

/// A random token. The system is asked for several at a time, by each thread for its own.
fn random_token() -> Token {
    const STOCK: usize = 32;
    thread_local!(static LEFT: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) });
    LEFT.with_borrow_mut(|left| {
        left.pop().unwrap_or_else(|| {
            let bytes = random::<{ STOCK * size_of::<Token>() }>();
            let (tokens, _) = bytes.as_chunks();
            left.extend(tokens[1..].iter().copied().map(Token::from_ne_bytes));
            Token::from_ne_bytes(tokens[0])
        })
    })
}

const SHARDS: usize = 16;
/// Characters of a token in base64url without padding.
const TOKEN_LENGTH: usize = 22;

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
        let mut bytes = [0; 18];
        if token.len() != TOKEN_LENGTH {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let token = Token::from_be_bytes(bytes[..length].try_into().ok()?);
        self.shard(token).lock().get(&token).cloned()
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
        let token = random_token();
        let mut shard = self.shard(token).lock();
        if shard.len() >= self.per_shard {
            self.refused.increment(1);
            return None;
        }
        shard.insert(token, session);
        Some(TokenGuard { registry: self.clone(), token })
    }

    fn shard(&self, token: Token) -> &Mutex<Live> {
        &self.shards[token as usize % SHARDS]
    }
}

/// Keeps a token valid.
pub(crate) struct TokenGuard {
    registry: Arc<TokenRegistry>,
    token: Token,
}

impl TokenGuard {
    pub(crate) fn header(&self) -> HeaderValue {
        let mut text = [0; TOKEN_LENGTH];
        let length = URL_SAFE_NO_PAD.encode_slice(self.token.to_be_bytes(), &mut text);
        debug_assert_eq!(length, Ok(TOKEN_LENGTH));
        let mut value = HeaderValue::from_bytes(&text).expect("base64url is ASCII");
        value.set_sensitive(true);
        value
    }
}

impl Drop for TokenGuard {
    fn drop(&mut self) {
        self.registry.shard(self.token).lock().remove(&self.token);
    }
}
