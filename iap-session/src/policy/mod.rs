//! What the layer does on which route, who gets a session, and how its id travels.

mod binding;
mod creation;
mod keys;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;

use crate::carrier::cookie::is_cookie_name;
use crate::error::{StoreError, StoreErrorKind};
use crate::events::Emitter;
use crate::provenance::ProvenanceConfig;
use crate::write::{Expiry, LoginPolicy};

pub use binding::Binding;
pub use creation::CreationFilter;
pub(crate) use creation::{KeptOut, Visitor};
pub use keys::TokenKeys;

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
    /// How the session's id travels.
    pub carrier: Carrier,
    /// How long sessions live that begin here; `None`: as [`SessionConfig::expiry`] says.
    pub expiry: Option<Expiry>,
}

impl SessionPolicy {
    /// The policy of [`Default`], as a constant.
    pub const DEFAULT: Self = Self {
        mode: Mode::On,
        outage: Outage::FailClosed,
        forward: false,
        carrier: Carrier::Cookie,
        expiry: None,
    };
}

/// Whether requests have a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// There is a [`Session`](crate::Session) in the request's extensions.
    #[default]
    On,
    /// There is one, and it is the client's where the client has one; but none is created. What is written
    /// without one lasts for the request, and nobody can log in. For pages that many visit and few
    /// come back to, and for what never writes.
    Existing,
    /// There is none, and the cookie is not looked at.
    Off,
}

/// How the id of a session travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    /// In a cookie: for browsers.
    #[default]
    Cookie,
    /// In a header of requests and responses, [`SessionConfig::header`], for API clients and mobile apps. The
    /// client keeps what a response has there, and forgets it when the header is empty. Cookies are not
    /// looked at, so that another site cannot make a browser send the session along.
    Header,
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
    /// A `GET` or `HEAD` goes on with what a [`NearCache`](crate::NearCache) in front of the store has read at most so
    /// long ago; without that, and for other methods, it is as [`Outage::FailClosed`]. Who was logged out or
    /// has ended meanwhile may be served as before, so keep it short. Writes still fail with 503.
    Stale(Duration),
}

/// How the layer works; the same for all routes.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// How long sessions live.
    pub expiry: Expiry,
    /// How many sessions a user may have.
    pub login: LoginPolicy,
    /// Other rules for some users: the application says which group a user is of when it
    /// [logs in](crate::Session::login_as).
    pub groups: BTreeMap<String, Group>,
    /// Who gets no session.
    pub creation: CreationFilter,
    /// What a session is bound to.
    pub binding: Binding,
    /// How long the old id leads to the session after it was changed, so that requests that are
    /// already on their way find it. Whoever had the old id is in for so long, too: keep it to
    /// seconds, or zero. Default five seconds.
    pub rotation_grace: Duration,
    /// The cookie.
    pub cookie: CookieConfig,
    /// The header of [`Carrier::Header`]. Default `x-auth-token`.
    pub header: HeaderName,
    /// What is noted of where sessions come from.
    pub provenance: ProvenanceConfig,
    /// Tells those who listen what happens to sessions, if anybody does.
    pub events: Option<Emitter>,
    /// Signs the ids that clients are given. Default `None`.
    pub token_keys: Option<TokenKeys>,
    /// Behind a dot at the end of ids, as servers of `mod_jk` and its kind have it, for a balancer in front that
    /// keeps a client with one node: 1 to 64 letters, digits, `-` and `_`. An id that names another node is as
    /// good; it is written anew. Default `None`.
    pub jvm_route: Option<String>,
    /// The policy of routes without one of their own.
    pub policy: SessionPolicy,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            expiry: Expiry::default(),
            login: LoginPolicy::default(),
            groups: BTreeMap::new(),
            creation: CreationFilter::default(),
            binding: Binding::default(),
            rotation_grace: Duration::from_secs(5),
            cookie: CookieConfig::default(),
            header: HeaderName::from_static("x-auth-token"),
            provenance: ProvenanceConfig::default(),
            events: None,
            token_keys: None,
            jvm_route: None,
            policy: SessionPolicy::default(),
        }
    }
}

/// Rules for the users of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Group {
    /// How many sessions each of them may have.
    pub login: LoginPolicy,
    /// How long their sessions live, counted from the login; `None`: as the session's began.
    pub expiry: Option<Expiry>,
}

impl SessionConfig {
    /// The rules for a user of `group`.
    pub(crate) fn group(&self, group: Option<&str>) -> Result<Group, StoreError> {
        let Some(name) = group else { return Ok(Group { login: self.login, expiry: None }) };
        self.groups.get(name).copied().ok_or_else(|| {
            StoreError::new(StoreErrorKind::Invalid, format!("there are no rules for a group `{name}`"))
        })
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.cookie.check()?;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self
            .jvm_route
            .as_ref()
            .is_some_and(|node| node.is_empty() || node.len() > 64 || !node.bytes().all(valid))
        {
            let text = "the name of a node has 1 to 64 letters, digits, `-` and `_`";
            return Err(StoreError::new(StoreErrorKind::Invalid, text));
        }
        let lives = |expiry: &Expiry| expiry.idle.as_millis() > 0 && expiry.absolute.as_millis() > 0;
        let of_groups = self.groups.values().filter_map(|group| group.expiry.as_ref());
        let of_routes = self.policy.expiry.as_ref();
        if ![&self.expiry].into_iter().chain(of_groups).chain(of_routes).all(lives) {
            return Err(StoreError::new(StoreErrorKind::Invalid, "sessions must live for some time"));
        }
        Ok(())
    }
}

/// The session cookie. It always has `HttpOnly` and `Path=/`, and no `Max-Age`: it ends with the
/// browser, or with the session. It is taken away with the attributes it was set with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    /// The name of the `Secure` cookie. The prefix `__Host-` makes browsers refuse one that was
    /// set by another host or over plain HTTP (RFC 6265bis, section 4.1.3.2).
    pub secure_name: String,
    /// The name of the cookie over plain HTTP.
    pub plain_name: String,
    /// When the cookie is `Secure`.
    pub secure: SecureCookie,
    /// To which requests browsers add it. Default [`SameSite::Lax`].
    pub same_site: SameSite,
    /// Browsers keep it apart for each site that embeds this one (CHIPS). Only where it is `Secure`.
    /// Default `false`.
    pub partitioned: bool,
    /// Hosts below this domain get it, too. `None`, the default: only the host that has set it.
    pub domain: Option<String>,
}

/// `__Host-iap` over TLS, `iap-session` over plain HTTP.
impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            secure_name: "__Host-iap".to_owned(),
            plain_name: "iap-session".to_owned(),
            secure: SecureCookie::Auto,
            same_site: SameSite::Lax,
            partitioned: false,
            domain: None,
        }
    }
}

impl CookieConfig {
    fn check(&self) -> Result<(), StoreError> {
        let invalid = |text: &'static str| Err(StoreError::new(StoreErrorKind::Invalid, text));
        let starts = |name: &str, prefix: &str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if !is_cookie_name(&self.secure_name) || !is_cookie_name(&self.plain_name) {
            return invalid("a cookie name is not a token");
        }
        if starts(&self.plain_name, "__Host-") || starts(&self.plain_name, "__Secure-") {
            return invalid("browsers refuse a cookie named `__Host-` or `__Secure-` over plain HTTP");
        }
        if let Some(domain) = &self.domain {
            let label = |label: &str| {
                let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                !label.is_empty() && label.bytes().all(valid)
            };
            if !domain.split('.').all(label) {
                return invalid("the cookie's domain is not the name of a host");
            }
            if starts(&self.secure_name, "__Host-") {
                return invalid("browsers refuse a cookie named `__Host-` that has a domain");
            }
        }
        Ok(())
    }
}

/// To which requests from other sites browsers add the cookie (RFC 6265bis, section 5.6.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// To none, not even to one that follows a link from there.
    Strict,
    /// To those that follow a link.
    #[default]
    Lax,
    /// To all: for a site that is embedded by others. Browsers want `Secure` with it; over plain HTTP
    /// the cookie is set as [`SameSite::Lax`].
    None,
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
