//! Signed tokens: JSON Web Tokens (RFC 7519), as identity providers issue them.

mod keys;
mod signature;

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{User, credentials};

pub use keys::JwtKeys;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;
/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 256;
/// Clocks that are further apart than this are wrong clocks.
const MOST_LEEWAY: Duration = Duration::from_secs(600);

/// Tokens that somebody else has signed. A token is taken if
///
/// - its signature is right under the one key that is meant: the one its `kid` names, or without a `kid`
///   the only key for its algorithm. The key decides on the algorithm, the token cannot;
/// - it has not expired (`exp` must be there) and holds already (`nbf`);
/// - it is for us (`aud`) and by whom we trust (`iss`), where those are set. A token that names an audience
///   is refused where none is set (RFC 7519 section 4.1.3);
/// - it has no extension that must be understood (`crit`, RFC 7515 section 4.1.11), and says who its user is.
#[derive(Debug)]
pub struct Jwt {
    keys: JwtKeys,
    checks: Validation,
    user_claim: Box<str>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// It is no token, too long for one, or has an extension that must be understood (RFC 7515 section 4.1.11).
    #[error("it is no token that can be read")]
    Malformed,
    /// No key is meant by its `kid` and its algorithm: its issuer may have newer ones.
    #[error("none of the keys that are known has signed it")]
    UnknownKey,
    /// Somebody else has signed it, or nobody.
    #[error("its signature is wrong")]
    Signature,
    /// It has expired (`exp`), or does not hold yet (`nbf`).
    #[error("it has expired, or does not hold yet")]
    Time,
    /// It is for somebody else (`aud`).
    #[error("it is for somebody else: see its `aud`")]
    Audience,
    /// It is by somebody else (`iss`).
    #[error("it is by somebody else: see its `iss`")]
    Issuer,
    /// A claim that is needed is missing.
    #[error("it lacks a claim: `exp`, or an `aud` or `iss` that is asked for")]
    Claims,
}

impl From<jsonwebtoken::errors::Error> for JwtError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Self::Time,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::MissingRequiredClaim(_) => Self::Claims,
            _ => Self::Malformed,
        }
    }
}

impl Jwt {
    /// Takes tokens that are signed by one of these keys.
    pub fn new(keys: JwtKeys) -> Self {
        signature::install();
        let mut checks = Validation::new(Algorithm::HS256);
        checks.validate_nbf = true;
        Self { keys, checks, user_claim: "sub".into() }
    }

    /// Takes only tokens for one of these audiences. An empty list stands for no such condition.
    #[must_use]
    pub fn audience<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<_> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        if !names.is_empty() {
            self.checks.set_audience(&names);
            self.checks.required_spec_claims.insert("aud".to_owned());
        }
        self
    }

    /// Takes only tokens by one of these issuers. An empty list stands for no such condition.
    #[must_use]
    pub fn issuer<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<_> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        if !names.is_empty() {
            self.checks.set_issuer(&names);
            self.checks.required_spec_claims.insert("iss".to_owned());
        }
        self
    }

    /// How far the issuer's clock may be off, at most 10 minutes. Default: 60 s.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.checks.leeway = leeway.min(MOST_LEEWAY).as_secs();
        self
    }

    /// The claim that holds the user's name. Default: `sub`.
    #[must_use]
    pub fn user_claim(mut self, name: &str) -> Self {
        self.user_claim = name.into();
        self
    }

    /// The claims of a token that comes by another way than `Authorization`, such as an ID token, once all that is
    /// [asked for](Self) holds. Whose it is, is left to the caller.
    ///
    /// # Errors
    ///
    /// [`JwtError`]; after [`UnknownKey`](JwtError::UnknownKey) it may be taken with newer keys.
    pub fn claims(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        if token.len() > LONGEST {
            return Err(JwtError::Malformed);
        }
        let head = decode_header(token)?;
        if head.crit.is_some() {
            return Err(JwtError::Malformed);
        }
        let key = self.keys.meant_by(head.kid.as_deref(), head.alg).ok_or(JwtError::UnknownKey)?;
        let mut checks = self.checks.clone();
        checks.algorithms = vec![key.algorithm];
        Ok(decode(token, &key.key, &checks)?.claims)
    }

    pub(super) fn check(&self, text: &str) -> Option<User> {
        let claims = self.claims(credentials(text, "bearer")?).ok()?;
        let user = claims.get(&*self.user_claim)?.as_str()?;
        let is_name = !user.is_empty() && user.len() <= LONGEST_USER && !user.chars().any(char::is_control);
        is_name.then(|| user.into())
    }
}

#[cfg(test)]
mod tests;
