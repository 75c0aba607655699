//! Who may ask: passwords (RFC 7617) and tokens (RFC 6750), fixed ones and signed ones (RFC 7519).

mod basic;
mod bearer;
mod jwt;

use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request};

use super::Identity;
use crate::body::Body;
use crate::error::{Error, Kind, Origin};

pub use basic::Basic;
pub use bearer::Bearer;
pub use jwt::{Jwt, JwtError, JwtKeys};

/// A check of `Authorization`. The field does not go on to the target, unless it is [forwarded](Auth::forward).
#[derive(Debug)]
pub struct Auth {
    scheme: Scheme,
    challenge: HeaderValue,
    /// The challenge to a token that is not right (RFC 6750 section 3.1).
    invalid: Option<HeaderValue>,
    forwards: bool,
}

#[derive(Debug)]
enum Scheme {
    Basic(Basic),
    Bearer(Bearer),
    Jwt(Box<Jwt>),
}

/// A rule for who may ask is not usable. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Nobody could ever come in.
    #[error("name at least one user or token")]
    Nobody,
    /// A line is not `user:hash`.
    #[error("line {0} is not `user:hash`")]
    Line(usize),
    /// The hash is of no kind that is known.
    #[error("the password of `{0}` is not an argon2 or bcrypt hash: `htpasswd -B` makes one")]
    Hash(String),
    /// A token could be guessed.
    #[error("a token needs at least 16 characters, and no blanks")]
    WeakToken,
    /// A key or a set of keys cannot be used.
    #[error("{0}")]
    Key(&'static str),
    /// The realm's name cannot be sent.
    #[error("the realm may hold printable ASCII without quotes only")]
    Realm,
}

impl Auth {
    /// Asks for a user's password.
    pub fn basic(realm: &str, users: Basic) -> Result<Self, AuthError> {
        let challenge = challenge("Basic", realm, ", charset=\"UTF-8\"")?;
        Ok(Self { scheme: Scheme::Basic(users), challenge, invalid: None, forwards: false })
    }

    /// Asks for a token.
    pub fn bearer(realm: &str, tokens: Bearer) -> Result<Self, AuthError> {
        Self::by_token(realm, Scheme::Bearer(tokens))
    }

    /// Asks for a signed token.
    pub fn jwt(realm: &str, tokens: Jwt) -> Result<Self, AuthError> {
        Self::by_token(realm, Scheme::Jwt(Box::new(tokens)))
    }

    fn by_token(realm: &str, scheme: Scheme) -> Result<Self, AuthError> {
        let invalid = Some(challenge("Bearer", realm, ", error=\"invalid_token\"")?);
        Ok(Self { scheme, challenge: challenge("Bearer", realm, "")?, invalid, forwards: false })
    }

    /// Lets the target see `Authorization` as well: for applications that read the token's other claims.
    #[must_use]
    pub fn forward(mut self) -> Self {
        self.forwards = true;
        self
    }

    /// Lets a request through with its user in [`Identity`], or refuses it with a challenge.
    pub(super) async fn check(&self, request: &mut Request<Body>) -> Result<(), Error> {
        let mut given = request.headers().get_all(AUTHORIZATION).iter();
        let (first, second) = (given.next(), given.next());
        let credentials = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok());
        let user = match (credentials, &self.scheme) {
            (Some(text), Scheme::Basic(users)) => users.check(text).await?,
            (Some(text), Scheme::Bearer(tokens)) => tokens.check(text),
            (Some(text), Scheme::Jwt(tokens)) => tokens.check(text),
            (None, _) => None,
        };
        let Some(user) = user else { return Err(self.refuse(first.is_some())) };
        if !self.forwards {
            request.headers_mut().remove(AUTHORIZATION);
        }
        request.extensions_mut().get_or_insert_default::<Identity>().user = Some(user);
        Ok(())
    }

    fn refuse(&self, has_tried: bool) -> Error {
        let challenge = self.invalid.as_ref().filter(|_| has_tried).unwrap_or(&self.challenge);
        let error = Error::new(Kind::Unauthorized, Origin::Client, "this needs a valid login");
        error.reason("auth").with_field(WWW_AUTHENTICATE, challenge.clone())
    }
}

fn challenge(scheme: &str, realm: &str, rest: &str) -> Result<HeaderValue, AuthError> {
    let is_plain =
        realm.bytes().all(|byte| (byte.is_ascii_graphic() || byte == b' ') && !b"\"\\".contains(&byte));
    let text = format!("{scheme} realm=\"{realm}\"{rest}");
    HeaderValue::from_str(&text).ok().filter(|_| is_plain).ok_or(AuthError::Realm)
}

/// What follows the name of a scheme, in any case.
fn credentials<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = text.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// The user of a token or password.
type User = Arc<str>;
