//! Fixed tokens.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AuthError, User, credentials};

/// The shortest token that is taken, in characters.
const SHORTEST: usize = 16;

/// Tokens and whose they are. Only digests are kept, and looked up by: how long a comparison takes says
/// nothing about a token.
#[derive(Debug)]
pub struct Bearer(HashMap<[u8; 32], User>);

impl Bearer {
    /// Takes pairs of a user's name and a token.
    pub fn new<S: AsRef<str>>(tokens: impl IntoIterator<Item = (S, S)>) -> Result<Self, AuthError> {
        let mut digests = HashMap::new();
        for (user, token) in tokens {
            let token = token.as_ref();
            if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(AuthError::WeakToken);
            }
            digests.insert(*blake3::hash(token.as_bytes()).as_bytes(), user.as_ref().into());
        }
        if digests.is_empty() { Err(AuthError::Nobody) } else { Ok(Self(digests)) }
    }

    /// Whether the value of a field `Authorization` has one of the tokens.
    pub fn allows(&self, authorization: &str) -> bool {
        self.check(authorization).is_some()
    }

    /// Whose token the value of a field `Authorization` has.
    pub fn check(&self, authorization: &str) -> Option<Arc<str>> {
        let token = credentials(authorization, "bearer")?;
        self.0.get(blake3::hash(token.as_bytes()).as_bytes()).cloned()
    }
}
