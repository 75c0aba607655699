//! What a route does with its requests on the way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderName, Method, StatusCode};
use iap_core::route::Conditions;
use iap_core::rules::{
    Access, Compression, Cors, Edits, Limits, RateKey, RateLimit, Redirect, Rewrite, Rules, Template,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jwt::JwtConfig;
use super::{ByteSize, RouteConfig, SecretRef, SessionMode, Span, named_networks};

/// What a request needs to be the route's, besides host and path. In values `*` stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhenConfig {
    pub(crate) methods: Vec<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
}

/// Sends clients elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectConfig {
    #[serde(default = "permanent")]
    pub(crate) status: u16,
    pub(crate) to: String,
}

fn permanent() -> u16 {
    308
}

/// Changes of header fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EditsConfig {
    pub(crate) remove: Vec<String>,
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) add: BTreeMap<String, String>,
}

/// Which other sites' pages may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsConfig {
    pub(crate) origins: Vec<String>,
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) expose: Vec<String>,
    #[serde(default)]
    pub(crate) credentials: bool,
    #[serde(default)]
    pub(crate) max_age: Option<Span>,
}

/// So many requests in a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateConfig {
    pub(crate) requests: u32,
    pub(crate) per: Span,
    /// `client`, `session`, `user`, `route`, or `header:` with the name of a field.
    #[serde(default = "by_client")]
    pub(crate) by: String,
}

fn by_client() -> String {
    "client".into()
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum AuthConfig {
    /// A file of users, as `htpasswd -B` writes it.
    Basic { users: PathBuf, realm: Option<String> },
    /// Tokens by the name of their owner.
    Bearer { tokens: BTreeMap<String, SecretRef>, realm: Option<String> },
    /// Signed tokens.
    Jwt(JwtConfig),
}

/// Limits below those of the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) body: Option<ByteSize>,
    /// Until the response head is there.
    pub(crate) total: Option<Span>,
    /// Until a server's response head is there, instead of the upstream's `response_timeout`.
    pub(crate) response: Option<Span>,
    pub(crate) in_flight: Option<usize>,
}

/// Smaller response bodies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CompressConfig {
    pub(crate) enabled: bool,
    pub(crate) min_size: Option<ByteSize>,
}

impl WhenConfig {
    pub(crate) fn conditions(&self) -> Result<Conditions, String> {
        let mut methods = Vec::new();
        for text in &self.methods {
            let method: Method = text.parse().map_err(|_| format!("when.methods: `{text}` is no method"))?;
            if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(format!(
                    "when.methods: methods are written in capitals: {}",
                    text.to_uppercase()
                ));
            }
            methods.push(method);
        }
        let mut conditions = Conditions::new().methods(methods);
        for (name, pattern) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("when.headers: `{name}` is no field"))?;
            conditions = conditions.header(name, pattern);
        }
        for (name, pattern) in &self.cookies {
            conditions = conditions.cookie(name, pattern);
        }
        for (name, pattern) in &self.query {
            conditions = conditions.query(name, pattern);
        }
        Ok(conditions)
    }
}

impl RouteConfig {
    /// All rules but those that need secrets; `None` where there are none.
    pub(crate) fn rules(&self) -> Result<Option<Rules>, String> {
        let mut rules = Rules::default();
        if !self.allow.is_empty() || !self.deny.is_empty() {
            let (allow, deny) = (named_networks("allow", &self.allow)?, named_networks("deny", &self.deny)?);
            rules.access = Some(Access::new(allow, deny));
        }
        rules.redirect = self.redirect.as_ref().map(|redirect| self.redirect(redirect)).transpose()?;
        rules.rewrite =
            self.rewrite.as_deref().map(|text| self.template("rewrite", text)).transpose()?.map(Rewrite::new);
        rules.request = edits("request_headers", &self.request_headers)?;
        rules.response = edits("response_headers", &self.response_headers)?;
        rules.cors = self.cors.as_ref().map(cors).transpose()?;
        rules.rates = self.rate_limits.iter().map(rate).collect::<Result<_, _>>()?;
        rules.limits = limits(&self.limits)?;
        if let Some(AuthConfig::Jwt(jwt)) = &self.auth {
            jwt.check()?;
        }
        if self.compress.enabled {
            let mut compression = Compression::default();
            compression.min_size = self.compress.min_size.map_or(compression.min_size, |size| size.0);
            rules.compression = Some(compression);
        }
        Ok((self.auth.is_some() || !rules.is_empty()).then_some(rules))
    }

    /// Whether somebody can tell what the rules ask for.
    pub(crate) fn check_identity(&self, sessions: bool) -> Result<(), String> {
        let has_sessions = sessions && self.session().mode != SessionMode::Off;
        let wants = |by: &str| self.rate_limits.iter().any(|rate| rate.by == by);
        if wants("session") && !has_sessions {
            return Err("rate_limits.by: session needs sessions on this route".to_owned());
        }
        if !has_sessions && self.auth.is_none() {
            let splits = self.split.as_ref().is_some_and(|split| split.by == "user");
            if splits || wants("user") {
                let setting = if splits { "split" } else { "rate_limits" };
                return Err(format!("{setting}.by: user needs `auth`, or sessions on this route"));
            }
        }
        Ok(())
    }

    fn redirect(&self, config: &RedirectConfig) -> Result<Redirect, String> {
        let to = self.template("redirect.to", &config.to)?;
        let status = StatusCode::from_u16(config.status).ok().and_then(|status| Redirect::new(status, to));
        status.ok_or_else(|| "redirect.status: write 301, 302, 303, 307 or 308".to_owned())
    }

    fn template(&self, setting: &str, text: &str) -> Result<Template, String> {
        let template = Template::new(text).map_err(|error| format!("{setting}: {error}"))?;
        let has = |name: &str| ["", "*"].iter().any(|star| self.path.contains(&format!("{{{star}{name}}}")));
        let unknown = template.parameters().find(|name| !has(name));
        match unknown {
            None => Ok(template),
            Some(name) => Err(format!(
                "{setting}: the path has no `{{{name}}}`; there are also {{path}}, {{rest}}, {{query}}, {{host}} and {{authority}}"
            )),
        }
    }
}

fn edits(setting: &str, config: &EditsConfig) -> Result<Option<Edits>, String> {
    if *config == EditsConfig::default() {
        return Ok(None);
    }
    let build = || {
        let mut edits = Edits::new();
        for name in &config.remove {
            edits = edits.remove(name)?;
        }
        for (name, value) in &config.set {
            edits = edits.set(name, value)?;
        }
        for (name, value) in &config.add {
            edits = edits.add(name, value)?;
        }
        Ok::<_, iap_core::rules::EditError>(edits)
    };
    build().map(Some).map_err(|error| format!("{setting}: {error}"))
}

fn cors(config: &CorsConfig) -> Result<Cors, String> {
    let build = || {
        let mut cors = Cors::new(&config.origins)?.expose(&config.expose)?;
        if !config.methods.is_empty() {
            cors = cors.methods(&config.methods)?;
        }
        if !config.headers.is_empty() {
            cors = cors.headers(&config.headers)?;
        }
        if let Some(age) = config.max_age {
            cors = cors.max_age(age.0);
        }
        if config.credentials { cors.credentials() } else { Ok(cors) }
    };
    build().map_err(|error| format!("cors: {error}"))
}

fn rate(config: &RateConfig) -> Result<RateLimit, String> {
    let key = match config.by.as_str() {
        "client" => RateKey::Client,
        "session" => RateKey::Session,
        "user" => RateKey::User,
        "route" => RateKey::Route,
        by => {
            let name = by.strip_prefix("header:").and_then(|name| name.trim().parse::<HeaderName>().ok());
            let name =
                name.ok_or("rate_limits.by: write client, session, user, route or `header: x-api-key`")?;
            RateKey::Header(name)
        }
    };
    RateLimit::new(key, config.requests, config.per.0)
        .ok_or_else(|| "rate_limits: at least one request in a time longer than zero".to_owned())
}

fn limits(config: &LimitsConfig) -> Result<Limits, String> {
    let is_zero = |span: Option<Span>| span.is_some_and(|span| span.0.is_zero());
    if is_zero(config.total) || is_zero(config.response) || config.in_flight == Some(0) {
        return Err("limits: leave out what has no limit; zero would let nothing through".to_owned());
    }
    let mut limits = Limits::default();
    limits.body = config.body.map(|size| size.0);
    limits.total = config.total.map(|total| total.0);
    limits.response = config.response.map(|response| response.0);
    limits.in_flight = config.in_flight;
    Ok(limits)
}

#[cfg(test)]
mod tests;
