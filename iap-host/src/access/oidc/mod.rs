//! Sign-in at an OpenID provider: the authorization code flow (OpenID Connect Core 1.0 section 3.1) with PKCE (RFC 7636).
//! A browser is led to the provider and comes back with a code, which is changed for an ID token behind its back. Nothing
//! of the provider's tokens is kept.
//!
//! | module | what it has |
//! |---|---|
//! | [`provider`] | what the provider says of itself, its keys, and claims for a code |
//! | [`fetch`] | requests to it |
//! | [`pending`] | sign-ins that people have begun |
//! | [`person`] | who somebody is, by the claims |
//! | [`failure`] | why somebody was not signed in |

mod failure;
mod fetch;
mod pending;
mod person;
mod provider;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use iap_core::Clock;
use iap_core::upstream::UpstreamTls;
use ring::digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub(crate) use self::failure::Failure;
use self::pending::{Pending, Pendings};
pub(crate) use self::person::Person;
use self::person::{Begun, check, read};
use self::provider::{Provider, Unknown};
use crate::config::{OidcConfig, Role};

/// Where a provider leads browsers back to.
pub(crate) const CALLBACK: &str = "/api/access/oidc/callback";
/// Codes that are changed at a time.
const MAX_BUSY: usize = 32;
/// The longest code, state and way back, in bytes.
const LONGEST: usize = 2_048;

/// A provider, with what must be read to use it.
#[derive(Clone)]
pub(crate) struct Settings {
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    scopes: Vec<String>,
    roles_claim: String,
    roles: BTreeMap<String, Role>,
    name_claim: String,
    label: Option<String>,
    external_url: Option<String>,
    end_session: bool,
    tls: Option<UpstreamTls>,
}

impl Settings {
    /// What the configuration says, with what it refers to.
    pub(crate) fn new(config: &OidcConfig, client_secret: Option<String>, tls: Option<UpstreamTls>) -> Self {
        Self {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            client_secret,
            scopes: config.scopes.clone(),
            roles_claim: config.roles_claim.clone(),
            roles: config.roles.clone(),
            name_claim: config.name_claim.clone(),
            label: config.label.clone(),
            external_url: config.external_url.clone(),
            end_session: config.end_session,
            tls,
        }
    }
}

/// What the page for signing in is told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SignInProvider")]
pub(crate) struct Offered {
    label: Option<String>,
    roles_claim: String,
    name_claim: String,
}

/// How a browser is led to the provider.
pub(crate) struct Way {
    pub(crate) location: String,
    pub(crate) cookie: String,
}

/// What a browser brings back (RFC 6749 section 4.1.2, RFC 9207 section 2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Brought {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A sign-in that has come back to the browser that began it.
pub(crate) struct Back {
    /// Takes the cookie of the sign-in away.
    pub(crate) cookie: String,
    state: String,
    pending: Option<Pending>,
}

impl Back {
    /// What tells it from all others; none where this browser has begun nothing.
    pub(super) fn attempt(&self) -> Option<&str> {
        self.pending.as_ref().map(|_| self.state.as_str())
    }

    /// The view that was wanted.
    pub(crate) fn return_to(&self) -> &str {
        self.pending.as_ref().map_or("/", |pending| &pending.return_to)
    }
}

/// Signs people in at a provider.
pub(super) struct Oidc {
    settings: Settings,
    clock: Arc<dyn Clock>,
    provider: Provider,
    pendings: Pendings,
    busy: Semaphore,
}

impl Oidc {
    pub(super) fn new(settings: Settings, secure: bool, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Ok(Self {
            provider: Provider::new(settings.clone(), clock.clone())?,
            pendings: Pendings::new(secure, clock.clone()),
            busy: Semaphore::new(MAX_BUSY),
            settings,
            clock,
        })
    }

    pub(super) fn shown(&self) -> Offered {
        let Settings { label, roles_claim, name_claim, .. } = self.settings.clone();
        Offered { label, roles_claim, name_claim }
    }

    /// Finds out, for the log, whether the provider can be used.
    pub(super) async fn look(&self) {
        // What is wrong is logged where it is found.
        if self.provider.known().await.is_ok() {
            tracing::info!(issuer = self.settings.issuer, "admin.access.oidc: the provider can be used");
        }
    }

    /// Where browsers find the console, if it is somewhere else than where this one is.
    pub(super) fn elsewhere(&self, origin: &str) -> Option<&str> {
        self.settings.external_url.as_deref().filter(|url| *url != origin)
    }

    /// Begins a sign-in of a browser that is at `origin`; `anew` asks the provider not to take who is signed in there.
    pub(super) async fn begin(
        &self,
        (origin, from): (&str, IpAddr),
        return_to: &str,
        anew: bool,
    ) -> Result<Way, Failure> {
        let known = self.provider.known().await.map_err(|_| Failure::Unavailable)?;
        let redirect_uri = format!("{origin}{CALLBACK}");
        let return_to = if is_own_view(return_to) { return_to } else { "/" };
        let begun = self.pendings.begin(redirect_uri, return_to.to_owned(), from).map_err(|error| {
            tracing::error!(%error, "admin.access.oidc: no sign-in can be begun");
            Failure::Unavailable
        });
        let (state, pending, cookie) = begun?;
        let challenge = digest::digest(&digest::SHA256, pending.verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge.as_ref());
        let scope = self.settings.scopes.join(" ");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &pending.redirect_uri),
            ("scope", &scope),
            ("state", &state),
            ("nonce", &pending.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if anew {
            query.append_pair("prompt", "login");
        }
        let location = with_query(&known.metadata.authorization_endpoint, &query.finish());
        Ok(Way { location, cookie })
    }

    /// Finds what a browser comes back from. Whatever it is, it is over with this.
    pub(super) fn back(&self, brought: &Brought, headers: &HeaderMap) -> Back {
        let state = brought.state.as_deref().filter(|state| state.len() <= LONGEST).unwrap_or_default();
        let pending = self.pendings.take(state, headers);
        Back { cookie: self.pendings.without_cookie(state), state: state.to_owned(), pending }
    }

    /// Finds out who has come back.
    pub(super) async fn finish(&self, back: &Back, brought: &Brought) -> Result<(String, Person), Failure> {
        let pending = back.pending.as_ref().ok_or(Failure::Expired)?;
        let _place = self.busy.try_acquire().map_err(|_| Failure::Wait(1))?;
        let known = self.provider.known().await.map_err(|_| Failure::Unavailable)?;
        let refused = |why: &str| {
            tracing::warn!(why, "admin.access.oidc: the provider's answer is not taken");
            Failure::Refused
        };
        // RFC 9207 section 2.4: an answer of another provider could have been brought here.
        let needs_iss = known.metadata.authorization_response_iss_parameter_supported;
        match &brought.iss {
            Some(iss) if *iss != self.settings.issuer => return Err(refused("it is by another issuer")),
            None if needs_iss => return Err(refused("it does not name its issuer")),
            _ => {}
        }
        match brought.error.as_deref() {
            None => {}
            Some("access_denied" | "consent_required" | "login_required" | "interaction_required") => {
                return Err(Failure::Denied);
            }
            Some("temporarily_unavailable" | "server_error") => return Err(Failure::Unavailable),
            Some(error) => return Err(refused(known_error(error))),
        }
        let code = brought.code.as_deref().filter(|code| !code.is_empty() && code.len() <= LONGEST);
        let code = code.ok_or_else(|| refused("it has no code"))?;
        let claims = self.provider.claims(code, &pending.verifier, &pending.redirect_uri).await;
        let claims = claims.map_err(|unknown| match unknown {
            Unknown::Unavailable => Failure::Unavailable,
            Unknown::Refused(why) => refused(&why),
        })?;
        let begun = Begun { nonce: &pending.nonce, began_ms: pending.began_ms, now_ms: self.clock.now_ms() };
        check(&claims, &self.settings.client_id, &begun).map_err(refused)?;
        read(&claims, &self.settings)
    }

    /// The role of somebody by the settings of this moment.
    pub(super) fn role(&self, person: &Person) -> Option<Role> {
        person.role(&self.settings)
    }

    /// Where a browser signs out at the provider, if it shall (OpenID Connect RP-Initiated Logout 1.0 section 2).
    pub(super) async fn end_session(&self, origin: Option<&str>) -> Option<String> {
        if !self.settings.end_session {
            return None;
        }
        let known = self.provider.known().await.ok()?;
        let endpoint = known.metadata.end_session_endpoint.as_deref()?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", &self.settings.client_id);
        if let Some(origin) = origin {
            query.append_pair("post_logout_redirect_uri", &format!("{origin}/"));
        }
        Some(with_query(endpoint, &query.finish()))
    }
}

/// The provider's error, if it is one of those that there are (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6):
/// anybody can bring others, and they would stand in the log.
fn known_error(error: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_scope",
        "account_selection_required",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
    ];
    KNOWN.into_iter().find(|known| *known == error).unwrap_or("it is an error that is not known")
}

/// An endpoint may have a query of its own (RFC 6749 section 3.1).
fn with_query(endpoint: &str, query: &str) -> String {
    let sign = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{sign}{query}")
}

/// Whether it is a path of the console: no other host, and nothing of the API.
fn is_own_view(path: &str) -> bool {
    let is_plain = path.len() <= LONGEST && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_path = path.starts_with('/') && !path.starts_with("//");
    is_plain && is_path && !path.starts_with("/api/") && !path.starts_with("/sign-in/")
}

#[cfg(test)]
mod tests;
