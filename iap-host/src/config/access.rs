//! Who may use the admin side, and for what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OidcConfig, SecretRef, Span};

/// What somebody is to the platform, and so may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Sees how things are.
    Viewer,
    /// Sees single requests, statements and log lines as well, without whose they are.
    Developer,
    /// Sees all, and acts on what runs.
    Operator,
    /// Also decides about the platform itself: its configuration, its people.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// Accounts of the admin side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessConfig {
    /// A file with lines of `name:role:hash`, as `iap-host user` writes them.
    pub(crate) users: Option<PathBuf>,
    /// A provider that people sign in at.
    pub(crate) oidc: Option<OidcConfig>,
    /// Tokens of programs, by name.
    pub(crate) tokens: BTreeMap<String, AccessTokenConfig>,
    /// What those may who have not signed in; nothing when absent.
    pub(crate) anonymous: Option<Role>,
    /// Where it is kept who is signed in, and who has done what.
    pub(crate) directory: PathBuf,
    /// How long somebody stays signed in without doing anything.
    pub(crate) idle: Span,
    /// How long at most.
    pub(crate) absolute: Span,
    /// How long it is kept who has done what.
    pub(crate) keep_audit: Span,
    /// Whether browsers send the cookie over TLS alone: for a console behind a proxy with TLS.
    pub(crate) secure: bool,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            users: None,
            oidc: None,
            tokens: BTreeMap::new(),
            anonymous: None,
            directory: "data/access".into(),
            idle: Span::seconds(8 * 3_600),
            absolute: Span::seconds(24 * 3_600),
            keep_audit: Span::seconds(400 * 86_400),
            secure: false,
        }
    }
}

/// The token of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessTokenConfig {
    pub(crate) role: Role,
    /// At least 16 characters.
    pub(crate) token: SecretRef,
}

impl AccessConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self, hosts: &[String]) -> Result<(), String> {
        if self.users.is_none() && self.tokens.is_empty() && self.oidc.is_none() {
            return Err(
                "admin.access: nobody could come in: give it `users: PATH`, `oidc` or `tokens`".to_owned()
            );
        }
        if let Some(oidc) = &self.oidc {
            oidc.check(self.secure, hosts)?;
        }
        if self.anonymous.is_some_and(|role| role >= Role::Operator) {
            return Err("admin.access.anonymous: viewer or developer: those who act sign in".to_owned());
        }
        let is_name =
            |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if let Some(name) = self.tokens.keys().find(|name| !is_name(name)) {
            return Err(format!(
                "admin.access.tokens: `{}`: a name has 1 to 64 ASCII characters and no blanks",
                name.escape_debug()
            ));
        }
        let spans = [("idle", self.idle), ("absolute", self.absolute), ("keep_audit", self.keep_audit)];
        match spans.iter().find(|(_, span)| span.0 < Duration::from_secs(1)) {
            Some((name, _)) => Err(format!("admin.access.{name}: at least `1s`")),
            None => Ok(()),
        }
    }
}
