//! What the layer does on which route, and how it sets its cookie.

use std::time::Duration;

use crate::events::Emitter;
use crate::provenance::ProvenanceConfig;
use crate::write::{Expiry, LoginPolicy};

/// The policy of one route; attach it with
/// [`Route::with_policy`](iap_core::Route::with_policy). Routes without one use
/// [`SessionConfig::policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionPolicy {
    /// Whether requests have a session at all.
    pub mode: Mode,
    /// What happens while the store is away.
    pub outage: Outage,
    /// Hand the session on to an upstream: see [the session API](crate::api).
    pub forward: bool,
}

/// Whether requests have a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// There is a [`Session`](crate::Session) in the request's extensions.
    #[default]
    On,
    /// There is none, and the cookie is not looked at.
    Off,
}

/// What happens when a session that is asked for cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outage {
    /// The request ends with 503, whatever the application answers.
    #[default]
    FailClosed,
    /// The request goes on as if there were no session. Writes still fail with 503. Not for routes
    /// that need a login.
    Anonymous,
}

/// How the layer works; the same for all routes.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// How long sessions live.
    pub expiry: Expiry,
    /// How many sessions a user may have.
    pub login: LoginPolicy,
    /// How long the old id leads to the session after it was changed, so that requests that are
    /// already on their way find it. Whoever had the old id is in for so long, too: keep it to
    /// seconds, or zero. Default five seconds.
    pub rotation_grace: Duration,
    /// The cookie.
    pub cookie: CookieConfig,
    /// What is noted of where sessions come from.
    pub provenance: ProvenanceConfig,
    /// Tells those who listen what happens to sessions, if anybody does.
    pub events: Option<Emitter>,
    /// The policy of routes without one of their own.
    pub policy: SessionPolicy,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            expiry: Expiry::default(),
            login: LoginPolicy::default(),
            rotation_grace: Duration::from_secs(5),
            cookie: CookieConfig::default(),
            provenance: ProvenanceConfig::default(),
            events: None,
            policy: SessionPolicy::default(),
        }
    }
}

/// The session cookie. It always has `HttpOnly`, `SameSite=Lax` and `Path=/`, never a `Domain`,
/// and no `Max-Age`: it ends with the browser, or with the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    /// The name of the `Secure` cookie. The prefix `__Host-` makes browsers refuse one that was
    /// set by another host or over plain HTTP (RFC 6265bis, section 4.1.3.2).
    pub secure_name: String,
    /// The name of the cookie over plain HTTP.
    pub plain_name: String,
    /// When the cookie is `Secure`.
    pub secure: SecureCookie,
}

/// `__Host-iap` over TLS, `iap-session` over plain HTTP.
impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            secure_name: "__Host-iap".to_owned(),
            plain_name: "iap-session".to_owned(),
            secure: SecureCookie::Auto,
        }
    }
}

/// When the cookie is `Secure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecureCookie {
    /// When the client connection is TLS. Without an [`iap_core::Connection`] it counts as plain.
    #[default]
    Auto,
    /// Always: TLS ends in front of this server.
    Always,
    /// Never: for tests on plain HTTP.
    Never,
}
