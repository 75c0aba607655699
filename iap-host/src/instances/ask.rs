//! What an instance says of itself, and that it is to read the file again: over its admin API, with little patience.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Text;
use crate::boot;
use crate::client::call_as;
use crate::config::{self, Config, Environment, Instance, Parsed, is_here, listeners};
use crate::revisions::hash;

/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same where it takes up another configuration.
const RELOADS: Duration = Duration::from_secs(30);
/// How many are asked at a time.
const AT_ONCE: usize = 64;
/// The largest answer.
const MAX_ANSWER: usize = 64 << 10;

/// What a process says of itself: `GET /api/instance`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OwnInstance")]
pub(crate) struct Own {
    /// Its name and its UUID, where its file has instances.
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) version: String,
    /// The revision that runs.
    pub(crate) revision: u64,
    /// The identity of its settings as the running text has them, before the environment.
    pub(crate) written: String,
    /// Since when that runs, Unix milliseconds.
    pub(crate) since_ms: u64,
    /// Why the last attempt to change it was refused, if it was.
    pub(crate) last_error: Option<String>,
}

/// How an instance was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "InstanceState")]
pub(crate) enum State {
    /// It answers, and is the one that the file means.
    Running,
    /// Nothing answers.
    Unreachable,
    /// It does not let this process ask.
    Refused,
    /// Something else answers there.
    Other,
}

/// An instance as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "HostInstance")]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) profiles: Vec<String>,
    /// Whether it is the process that answers.
    pub(crate) own: bool,
    /// Whether the file says that it is on the same machine as the others that say nothing.
    pub(crate) here: bool,
    /// Where it listens, by setting.
    pub(crate) listen: BTreeMap<&'static str, SocketAddr>,
    /// Its admin API, where it was asked.
    pub(crate) admin: Option<String>,
    pub(crate) state: State,
    /// Why it is not running, or what it has refused.
    pub(crate) detail: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) since_ms: Option<u64>,
    /// Whether what runs there is what the file says; null where it is not known, and for what is tried out.
    pub(crate) in_sync: Option<bool>,
}

/// What became of a reload.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ReloadedInstance")]
pub(crate) struct Acknowledged {
    pub(crate) name: String,
    /// Whether it runs what the file says.
    pub(crate) done: bool,
    /// Parts that have changed.
    pub(crate) changed: Vec<String>,
    /// Why nothing has: what it had goes on there.
    pub(crate) detail: Option<String>,
}

/// The id of an instance of a text, where it is one, and the identity of what the text means for it, whatever the environment of its
/// process.
pub(crate) fn meaning(text: &str, instance: Option<&str>) -> Option<(Option<String>, String)> {
    let all = config::parse_all("", text, &Environment::new()).ok()?;
    let is_it = |parsed: &Parsed| parsed.instance.as_ref().map(|one| one.name.as_str()) == instance;
    let parsed = all.into_iter().find(is_it)?;
    Some((parsed.instance.map(|one| one.id), hash(&parsed.config)))
}

/// All instances of a text; `own` is this process.
pub(crate) async fn list(text: &Text, own: &Own, environment: &Environment) -> Vec<Shown> {
    let all = text.all.iter().filter_map(|parsed| Some((parsed.instance.as_ref()?, &parsed.config)));
    let asked = all.map(|(instance, config)| {
        let asked = async move {
            let is_own = own.name.as_ref() == Some(&instance.name);
            let told = if is_own { Ok(own.clone()) } else { ask(instance, config, environment).await };
            shown(instance, config, is_own, told)
        };
        asked.boxed()
    });
    let asked: Vec<_> = asked.collect();
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

fn shown(instance: &Instance, config: &Config, own: bool, told: Result<Own, (State, String)>) -> Shown {
    let wrong = |told: &Own| told.id.as_ref() != Some(&instance.id);
    let (state, detail, told) = match told {
        Ok(told) if wrong(&told) => {
            let name = told.name.as_deref().unwrap_or("a host without a name");
            (State::Other, Some(format!("{name} answers there")), None)
        }
        Ok(told) => (State::Running, told.last_error.clone(), Some(told)),
        Err((state, detail)) => (state, Some(detail), None),
    };
    Shown {
        name: instance.name.clone(),
        id: instance.id.clone(),
        profiles: instance.profiles.clone(),
        own,
        here: is_here(instance),
        listen: listeners(config).into_iter().collect(),
        admin: address(instance, config),
        state,
        detail,
        in_sync: told.as_ref().map(|told| told.written == hash(config)),
        version: told.as_ref().map(|told| told.version.clone()),
        revision: told.as_ref().map(|told| told.revision),
        since_ms: told.map(|told| told.since_ms),
    }
}

/// Where its admin API is; none where the system chooses the port.
fn address(instance: &Instance, config: &Config) -> Option<String> {
    if let Some(url) = &instance.admin.url {
        return Some(url.clone());
    }
    let mut listen = config.admin.listen;
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (listen.port() != 0).then(|| format!("http://{listen}"))
}

async fn ask(
    instance: &Instance,
    config: &Config,
    environment: &Environment,
) -> Result<Own, (State, String)> {
    let answer = send(instance, config, environment, (Method::GET, "/api/instance", PATIENCE)).await?;
    serde_json::from_value(answer).map_err(|_| (State::Other, "something else answers there".to_owned()))
}

/// Whether anything at all answers where an instance is.
pub(crate) async fn is_there(instance: &Instance, config: &Config, environment: &Environment) -> bool {
    !matches!(ask(instance, config, environment).await, Err((State::Unreachable, _)))
}

/// Has an instance read the file again.
pub(crate) async fn reload(instance: &Instance, config: &Config, environment: &Environment) -> Acknowledged {
    let asked = (Method::POST, "/api/config/reload", RELOADS);
    let told = send(instance, config, environment, asked).await;
    let name = instance.name.clone();
    match told {
        Ok(answer) => {
            let changed = answer["changed"].as_array().into_iter().flatten();
            let changed = changed.filter_map(Value::as_str).map(str::to_owned).collect();
            Acknowledged { name, done: true, changed, detail: None }
        }
        Err((_, detail)) => Acknowledged { name, done: false, changed: Vec::new(), detail: Some(detail) },
    }
}

async fn send(
    instance: &Instance,
    config: &Config,
    environment: &Environment,
    (method, path, patience): (Method, &str, Duration),
) -> Result<Value, (State, String)> {
    let refused = |detail: String| (State::Refused, detail);
    let unreachable = |detail: String| (State::Unreachable, detail);
    let Some(url) = address(instance, config) else {
        return Err(unreachable(
            "its admin port is chosen when it starts: give it one, or `admin.url`".into(),
        ));
    };
    let token = instance.admin.token.as_ref().map(|token| boot::read_secret(token, environment)).transpose();
    let token = token.map_err(|error| refused(format!("admin.token: {error}")))?;
    let asked = call_as(&url, (method, path), (None, None), (token.as_deref(), MAX_ANSWER));
    let answered = tokio::time::timeout(patience, asked).await;
    let (status, answer) = answered
        .map_err(|_| unreachable(format!("no answer within {} seconds", patience.as_secs())))?
        .map_err(|error| unreachable(error.to_string()))?;
    let detail = || answer["detail"].as_str().or(answer["title"].as_str()).unwrap_or_default().to_owned();
    match status {
        StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if token.is_none() => Err(refused(
            "it asks for a token: give the instance `admin: {token: ...}`, one of its admin.access.tokens"
                .into(),
        )),
        StatusCode::UNAUTHORIZED => Err(refused("it does not know the token".into())),
        StatusCode::FORBIDDEN => Err(refused(format!("its token may not do this: {}", detail()))),
        StatusCode::NOT_FOUND => {
            Err((State::Other, "something else, or an older version, answers there".into()))
        }
        _ => Err(refused(format!("{}: {}", status.as_u16(), detail()))),
    }
}
