//! Sign-in to the console by an OpenID provider. What can be wrong with a setting alone is found where it stands.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Role, SecretRef, Span};

/// The longest of the texts here, in bytes, and the most of them in a list.
const LONGEST: usize = 512;
const MOST: usize = 256;

/// A provider that people sign in at, by the authorization code flow (OpenID Connect Core 1.0 section 3.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcConfig {
    /// What the provider calls itself, to the letter: `https://`, on loopback also `http://`.
    #[serde(deserialize_with = "issuer")]
    pub(crate) issuer: String,
    #[serde(deserialize_with = "text")]
    pub(crate) client_id: String,
    /// None for a client that the provider knows as a public one.
    #[serde(default)]
    pub(crate) client_secret: Option<SecretRef>,
    /// What is asked for; `openid` among it.
    #[serde(default = "usual_scopes", deserialize_with = "scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim of the ID token that has the roles: its name, or a way to it with dots, like `realm_access.roles`.
    #[serde(default = "usual_roles_claim", deserialize_with = "text")]
    pub(crate) roles_claim: String,
    /// Which of the values there stand for which role. The highest counts; who has none is not let in.
    #[serde(deserialize_with = "roles")]
    pub(crate) roles: BTreeMap<String, Role>,
    /// The claim that has the name that somebody acts under.
    #[serde(default = "usual_name_claim", deserialize_with = "text")]
    pub(crate) name_claim: String,
    /// What the button says; that it is by the provider when absent.
    #[serde(default, deserialize_with = "label")]
    pub(crate) label: Option<String>,
    /// Where browsers find the console, like `https://ops.example`; where they are when absent.
    #[serde(default, deserialize_with = "origin")]
    pub(crate) external_url: Option<String>,
    /// Whether signing out here leads to the provider, to sign out there.
    #[serde(default)]
    pub(crate) end_session: bool,
    /// How long a role is believed: after this the provider is asked anew, by signing in.
    #[serde(default = "usual_lifetime", deserialize_with = "lifetime")]
    pub(crate) lifetime: Span,
    /// A PEM file with the authorities that the provider is verified by; those of the system when absent.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile"].map(str::to_owned).to_vec()
}

fn usual_roles_claim() -> String {
    "groups".to_owned()
}

fn usual_name_claim() -> String {
    "preferred_username".to_owned()
}

fn usual_lifetime() -> Span {
    Span::seconds(8 * 3_600)
}

impl OidcConfig {
    /// What does not go together with other settings, if anything.
    pub(super) fn check(&self, secure: bool, hosts: &[String]) -> Result<(), String> {
        let Some(url) = &self.external_url else { return Ok(()) };
        if url.starts_with("https://") && !secure {
            let text = "admin.access.secure: set it, since the external_url of admin.access.oidc is https";
            return Err(text.to_owned());
        }
        let uri: Option<Uri> = url.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let is_known = is_address(host) || hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        match is_known {
            true => Ok(()),
            false => {
                Err(format!("admin.hosts: `{host}` is missing, which admin.access.oidc.external_url names"))
            }
        }
    }
}

/// `localhost`, or an IP address.
fn is_address(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some()
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let help = "between 1 and 512 bytes, and no control characters";
    if is_text(&text) { Ok(text) } else { Err(de::Error::custom(help)) }
}

fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let label = Option::<String>::deserialize(deserializer)?;
    match &label {
        Some(text) if !is_text(text) || text.chars().count() > 60 => {
            Err(de::Error::custom("a button has room for 60 characters"))
        }
        _ => Ok(label),
    }
}

/// OpenID Connect Core 1.0 section 2 (`iss`): no query, no fragment.
fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let uri = url(&text).ok_or_else(|| {
        de::Error::custom("no issuer: write it as the provider does, like `https://id.example/realms/staff`")
    })?;
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() == Some("http") && !is_loopback(host) {
        return Err(de::Error::custom("over http:// anybody on the way could sign in: https:// is needed"));
    }
    if uri.query().is_some() {
        return Err(de::Error::custom("an issuer has no query"));
    }
    Ok(text)
}

fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let bare = text.trim_end_matches('/');
    let is_origin = url(bare).is_some_and(|uri| uri.path() == "/" && uri.query().is_none());
    match is_origin {
        true => Ok(Some(as_sent(bare))),
        false => Err(de::Error::custom("scheme and host alone, like `https://ops.example`")),
    }
}

/// As browsers write an origin (RFC 6454 section 6.2): in small letters, without a port that its scheme implies.
fn as_sent(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let port = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(&origin).to_owned()
}

fn url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok().filter(|_| text.len() <= LONGEST && !text.contains('#'))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    (is_web && has_host && !has_user).then_some(uri)
}

/// RFC 6749 section 3.3.
fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let scopes = Vec::<String>::deserialize(deserializer)?;
    let is_scope = |scope: &String| {
        is_text(scope) && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    if scopes.len() > MOST || !scopes.iter().all(is_scope) {
        return Err(de::Error::custom("a scope is a word, like `email`; 256 at most"));
    }
    match scopes.iter().any(|scope| scope == "openid") {
        true => Ok(scopes),
        false => Err(de::Error::custom("`openid` must be among the scopes")),
    }
}

fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Role>, D::Error> {
    let roles = BTreeMap::<String, Role>::deserialize(deserializer)?;
    if roles.is_empty() || roles.len() > MOST || !roles.keys().all(|value| is_text(value)) {
        let help = "values of the claim with a role each, like `{ops-team: operator}`; 256 at most";
        return Err(de::Error::custom(help));
    }
    Ok(roles)
}

fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let lifetime = Span::deserialize(deserializer)?;
    match lifetime >= Span::seconds(60) {
        true => Ok(lifetime),
        false => Err(de::Error::custom("at least `1m`")),
    }
}
