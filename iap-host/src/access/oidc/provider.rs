//! What a provider says of itself (OpenID Connect Discovery 1.0) and its keys: read when they are needed, kept for a while.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use iap_core::Clock;
use iap_core::rules::{Jwt, JwtError, JwtKeys};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::Settings;
use super::fetch::{Endpoint, Form};

/// How long it is believed what a provider says of itself, and its keys are.
const FRESH_MS: u64 = 3_600_000;
/// After a failure it is left alone for a moment, whoever asks.
const REST_MS: u64 = 2_000;
/// A key that is not known is looked for at most this often.
const LOOK_MS: u64 = 30_000;
/// How far its clock may be off.
const LEEWAY: Duration = Duration::from_secs(60);
/// The longest address of an endpoint.
const MAX_URL: usize = 2_048;

/// What is read of `/.well-known/openid-configuration` (section 3).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    pub(super) end_session_endpoint: Option<String>,
    /// `client_secret_basic` when absent.
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207 section 3.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// A provider.
pub(super) struct Provider {
    settings: Settings,
    clock: Arc<dyn Clock>,
    discovery: Endpoint,
    /// Held while it is read, so that many ask once.
    known: Mutex<Cached<Known>>,
    keys: Mutex<Cached<Jwt>>,
}

/// What follows from the metadata.
pub(super) struct Known {
    pub(super) metadata: Metadata,
    token: Endpoint,
    keys: Endpoint,
}

struct Cached<T> {
    value: Option<Arc<T>>,
    read_ms: u64,
    failed_ms: Option<u64>,
    /// When newer ones were looked for before their time.
    looked_ms: Option<u64>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { value: None, read_ms: 0, failed_ms: None, looked_ms: None }
    }
}

impl<T> Cached<T> {
    /// What needs not be read now; an error while the provider is left alone.
    fn usable(&self, now: u64) -> Result<Option<Arc<T>>, String> {
        let is_resting = self.failed_ms.is_some_and(|failed| now.saturating_sub(failed) < REST_MS);
        match &self.value {
            Some(value) if is_resting || now.saturating_sub(self.read_ms) < FRESH_MS => {
                Ok(Some(value.clone()))
            }
            None if is_resting => Err("it could not be read a moment ago".to_owned()),
            _ => Ok(None),
        }
    }

    /// Takes over what was read. Where nothing was, what was known before goes on.
    fn take(&mut self, read: Result<T, String>, now: u64) -> Result<Arc<T>, String> {
        match read {
            Ok(value) => {
                let value = Arc::new(value);
                *self = Self {
                    value: Some(value.clone()),
                    read_ms: now,
                    failed_ms: None,
                    looked_ms: self.looked_ms,
                };
                Ok(value)
            }
            Err(error) => {
                self.failed_ms = Some(now);
                tracing::warn!(%error, "admin.access.oidc: the provider cannot be used");
                self.value.clone().ok_or(error)
            }
        }
    }
}

/// Why there are no claims of a person.
pub(super) enum Unknown {
    /// The provider cannot be asked.
    Unavailable,
    /// It was asked, and this is wrong with its answer.
    Refused(String),
}

impl Provider {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        // Section 4.1: a slash at the end of the issuer goes first.
        let base = settings.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let discovery = Endpoint::new(&url, settings.tls.as_ref()).map_err(|why| format!("issuer: {why}"))?;
        Ok(Self { settings, clock, discovery, known: Mutex::default(), keys: Mutex::default() })
    }

    /// What the provider says of itself. What is wrong is in the log.
    pub(super) async fn known(&self) -> Result<Arc<Known>, String> {
        let mut cached = self.known.lock().await;
        if let Some(known) = cached.usable(self.clock.now_ms())? {
            return Ok(known);
        }
        let read = self.discover().await.map_err(|error| format!("discovery: {error}"));
        cached.take(read, self.clock.now_ms())
    }

    async fn discover(&self) -> Result<Known, String> {
        let text = self.discovery.get().await?.text()?;
        let metadata: Metadata = serde_json::from_str(&text).map_err(|_| {
            "it names no issuer, authorization_endpoint, token_endpoint and jwks_uri".to_owned()
        })?;
        // Section 4.3: to the letter, or somebody else is speaking.
        if metadata.issuer != self.settings.issuer {
            return Err("it calls itself otherwise than admin.access.oidc.issuer".to_owned());
        }
        let own_scheme =
            |url: &str| url.starts_with("https://") || self.settings.issuer.starts_with("http://");
        let shown = [Some(&metadata.authorization_endpoint), metadata.end_session_endpoint.as_ref()];
        for url in shown.into_iter().flatten().chain([&metadata.token_endpoint, &metadata.jwks_uri]) {
            let is_usable = url.len() <= MAX_URL && url.bytes().all(|byte| byte.is_ascii_graphic());
            if !own_scheme(url) || !is_usable || !url.starts_with("http") || url.contains('#') {
                return Err("an endpoint is no https:// URL".to_owned());
            }
        }
        let tls = self.settings.tls.as_ref();
        let endpoint =
            |name: &str, url: &str| Endpoint::new(url, tls).map_err(|why| format!("{name}: {why}"));
        let token = endpoint("token_endpoint", &metadata.token_endpoint)?;
        let keys = endpoint("jwks_uri", &metadata.jwks_uri)?;
        Ok(Known { metadata, token, keys })
    }

    /// Changes a code for the claims of a person (OpenID Connect Core 1.0 sections 3.1.3.1 to 3.1.3.7, as far as they
    /// do not need to know of the sign-in).
    pub(super) async fn claims(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<Map<String, Value>, Unknown> {
        let known = self.known().await.map_err(|_| Unknown::Unavailable)?;
        let form = self.form(
            &known.metadata,
            [("code", code), ("code_verifier", verifier), ("redirect_uri", redirect_uri)],
        );
        let answer = known.token.post(form.map_err(Unknown::Refused)?).await.map_err(|error| {
            tracing::warn!(%error, "admin.access.oidc: the token endpoint cannot be asked");
            Unknown::Unavailable
        })?;
        if answer.status.is_server_error() {
            tracing::warn!(status = %answer.status, "admin.access.oidc: the token endpoint cannot answer");
            return Err(Unknown::Unavailable);
        }
        let tokens: Tokens = answer.json().map_err(Unknown::Refused)?;
        let Some(token) = tokens.id_token else {
            return Err(Unknown::Refused(format!("the token endpoint says {}", tokens.error())));
        };
        self.checked(&known, &token).await
    }

    /// The claims of an ID token whose signature and times are right, and that is by the provider and for us. Where its key
    /// is not known newer ones are looked for.
    async fn checked(&self, known: &Known, token: &str) -> Result<Map<String, Value>, Unknown> {
        let refused = |error: JwtError| Unknown::Refused(format!("the ID token: {error}"));
        let keys = self.keys(known, false).await.map_err(|_| Unknown::Unavailable)?;
        match keys.claims(token) {
            Err(JwtError::UnknownKey) => {
                let keys = self.keys(known, true).await.map_err(|_| Unknown::Unavailable)?;
                keys.claims(token).map_err(refused)
            }
            judged => judged.map_err(refused),
        }
    }

    async fn keys(&self, known: &Known, newer: bool) -> Result<Arc<Jwt>, String> {
        let mut cached = self.keys.lock().await;
        let now = self.clock.now_ms();
        let usable = cached.usable(now)?;
        let may_look = newer && cached.looked_ms.is_none_or(|looked| now.saturating_sub(looked) >= LOOK_MS);
        if let Some(keys) = usable.filter(|_| !may_look) {
            return Ok(keys);
        }
        if newer {
            cached.looked_ms = Some(now);
        }
        let read = self.read_keys(known).await.map_err(|error| format!("its keys: {error}"));
        cached.take(read, self.clock.now_ms())
    }

    async fn read_keys(&self, known: &Known) -> Result<Jwt, String> {
        let text = known.keys.get().await?.text()?;
        let keys = JwtKeys::parse(&text).and_then(JwtKeys::public).map_err(|error| error.to_string())?;
        let Settings { issuer, client_id, .. } = &self.settings;
        Ok(Jwt::new(keys).issuer([issuer]).audience([client_id]).leeway(LEEWAY))
    }

    /// RFC 6749 section 4.1.3, with the client's authentication (OpenID Connect Core 1.0 section 9).
    fn form(&self, metadata: &Metadata, fields: [(&str, &str); 3]) -> Result<Form, String> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("grant_type", "authorization_code").extend_pairs(fields);
        let client_id = &self.settings.client_id;
        let Some(secret) = &self.settings.client_secret else {
            body.append_pair("client_id", client_id);
            return Ok(Form { body: body.finish(), authorization: None });
        };
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method: &str| methods.is_some_and(|methods| methods.iter().any(|one| one == method));
        if methods.is_none() || takes("client_secret_basic") {
            let value = basic(client_id, secret);
            return Ok(Form { body: body.finish(), authorization: Some(value?) });
        }
        if !takes("client_secret_post") {
            return Err("it takes neither client_secret_basic nor client_secret_post".to_owned());
        }
        body.append_pair("client_id", client_id).append_pair("client_secret", secret);
        Ok(Form { body: body.finish(), authorization: None })
    }
}

/// RFC 6749 section 2.3.1: both are encoded as in a form first.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, String> {
    use base64::Engine as _;
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret));
    let value = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair));
    let mut value =
        HeaderValue::try_from(value).map_err(|_| "the client's secret cannot be sent".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// An answer of the token endpoint, or an error of it (RFC 6749 section 5).
#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Tokens {
    /// Its error, if it is one of those that there are (section 5.2): others could repeat a secret.
    fn error(&self) -> &'static str {
        const KNOWN: [&str; 6] = [
            "invalid_request",
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
        ];
        let own = self.error.as_deref().and_then(|error| KNOWN.into_iter().find(|known| *known == error));
        own.unwrap_or("neither an ID token nor an error that is known")
    }
}
