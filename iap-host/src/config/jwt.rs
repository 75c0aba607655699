//! Signed tokens of an identity provider.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretRef, Span};

/// Which signed tokens let a request in. Exactly one of `keys` and `secret` says how they are checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JwtConfig {
    /// A file with a JSON Web Key Set, or with a public key in PEM.
    pub(crate) keys: Option<PathBuf>,
    /// A secret that is shared with the issuer.
    pub(crate) secret: Option<SecretRef>,
    pub(crate) audience: Vec<String>,
    pub(crate) issuer: Vec<String>,
    /// The claim with the user's name; `sub` when absent.
    pub(crate) user: Option<String>,
    /// How far the issuer's clock may be off; 60 s when absent.
    pub(crate) leeway: Option<Span>,
    /// Whether the target sees the token.
    pub(crate) forward: bool,
    pub(crate) realm: Option<String>,
}

impl JwtConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.keys.is_some() == self.secret.is_some() {
            return Err("auth.jwt: give it either `keys`, a file, or `secret: {env: NAME}`".to_owned());
        }
        if self.audience.iter().chain(&self.issuer).chain(&self.user).any(String::is_empty) {
            return Err("auth.jwt: an empty audience, issuer or user claim fits no token".to_owned());
        }
        match self.leeway {
            Some(leeway) if leeway.0 > Duration::from_secs(600) => {
                Err("auth.jwt.leeway: clocks may be off by 10m at most".to_owned())
            }
            _ => Ok(()),
        }
    }
}
