//! Managed processes: applications that the host starts itself.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use http::Uri;
use iap_core::process::{ProcessSettings, Ready, ResourceLimits, Restart, Stop};
use iap_core::upstream::UpstreamSettings;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::units::one_minute;
use super::upstream::{BalanceConfig, StickyConfig, balance, statuses, sticky};
use super::{ByteSize, SecretRef, Span};

/// A command whose instances answer the requests of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessConfig {
    pub(crate) command: CommandConfig,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, EnvValue>,
    /// Where it runs; where the host does when absent.
    #[serde(default)]
    pub(crate) directory: Option<PathBuf>,
    /// Needs root.
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default = "one")]
    pub(crate) instances: usize,
    #[serde(default)]
    pub(crate) ready: ReadyConfig,
    #[serde(default)]
    pub(crate) restart: RestartConfig,
    #[serde(default)]
    pub(crate) stop: StopConfig,
    #[serde(default)]
    pub(crate) limits: ResourcesConfig,
    /// How long requests wait while no instance is ready; not at all when absent.
    #[serde(default)]
    pub(crate) start_timeout: Option<Span>,
    #[serde(default)]
    pub(crate) balance: BalanceConfig,
    #[serde(default)]
    pub(crate) sticky: Option<StickyConfig>,
    /// To the response head.
    #[serde(default = "one_minute")]
    pub(crate) response_timeout: Span,
    /// How long a response body may stand still.
    #[serde(default = "one_minute")]
    pub(crate) body_timeout: Span,
}

/// A list of words, or a text that is split as a shell would, without running one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum CommandConfig {
    Words(Vec<String>),
    Text(String),
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum EnvValue {
    Plain(String),
    Secret(SecretRef),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReadyConfig {
    /// A connection is enough when absent.
    pub(crate) path: Option<String>,
    /// A status code, or two with a `-` between them.
    pub(crate) expect: String,
    pub(crate) timeout: Span,
}

impl Default for ReadyConfig {
    fn default() -> Self {
        Self { path: None, expect: "200-399".into(), timeout: one_minute() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RestartConfig {
    pub(crate) min: Span,
    pub(crate) max: Span,
    pub(crate) reset_after: Span,
}

impl Default for RestartConfig {
    fn default() -> Self {
        let core = Restart::default();
        Self { min: Span(core.min), max: Span(core.max), reset_after: Span(core.reset_after) }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StopConfig {
    pub(crate) signal: String,
    pub(crate) timeout: Span,
    pub(crate) drain: Span,
}

impl Default for StopConfig {
    fn default() -> Self {
        let core = Stop::default();
        Self { signal: core.signal, timeout: Span(core.timeout), drain: Span(core.drain) }
    }
}

/// Bounds on each process, and by a control group on all of an instance; no bound where absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResourcesConfig {
    pub(crate) open_files: Option<u64>,
    pub(crate) address_space: Option<ByteSize>,
    pub(crate) processes: Option<u64>,
    /// Of an instance; so are the two that follow.
    pub(crate) memory: Option<ByteSize>,
    /// Cores, like `1.5`.
    pub(crate) cpu: Option<f64>,
    pub(crate) pids: Option<u64>,
    /// Whether it is an error if there are no control groups.
    pub(crate) required: bool,
}

impl ResourcesConfig {
    fn limits(&self) -> Result<ResourceLimits, String> {
        let cpu_millis = self.cpu.map(|cores| {
            let millis = (cores * 1000.0).round();
            let is_number = (10.0..=1_000_000.0).contains(&millis);
            if is_number { Ok(millis as u32) } else { Err("limits.cpu: write cores, from `0.01` to `1000`") }
        });
        Ok(ResourceLimits {
            open_files: self.open_files,
            address_space: self.address_space.map(|size| size.0),
            processes: self.processes,
            memory: self.memory.map(|size| size.0),
            cpu_millis: cpu_millis.transpose()?,
            pids: self.pids,
            required: self.required,
        })
    }
}

impl ProcessConfig {
    /// Everything that can be checked without the system.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.upstream()?;
        self.settings(|_| Ok(String::new())).map(drop)
    }

    /// What the core is told; `secret` reads one.
    pub(crate) fn settings(
        &self,
        secret: impl Fn(&SecretRef) -> Result<String, String>,
    ) -> Result<ProcessSettings, String> {
        let words = match &self.command {
            CommandConfig::Words(words) => words.clone(),
            CommandConfig::Text(text) => {
                shlex::split(text).ok_or_else(|| "command: a quote is not closed".to_owned())?
            }
        };
        let mut settings = ProcessSettings::new(words);
        for (name, value) in &self.env {
            let value = match value {
                EnvValue::Plain(value) => value.clone(),
                EnvValue::Secret(reference) => {
                    secret(reference).map_err(|error| format!("env.{}: {error}", name.escape_debug()))?
                }
            };
            settings.env.push((name.clone(), value));
        }
        settings.directory = self.directory.clone();
        settings.user = self.user.clone();
        settings.instances = self.instances;
        settings.ready = Ready {
            path: self.ready.path.as_deref().map(path).transpose()?,
            expect: self.expect()?,
            timeout: self.ready.timeout.0,
        };
        settings.restart = Restart {
            min: self.restart.min.0,
            max: self.restart.max.0,
            reset_after: self.restart.reset_after.0,
        };
        settings.stop =
            Stop { signal: self.stop.signal.clone(), timeout: self.stop.timeout.0, drain: self.stop.drain.0 };
        settings.limits = self.limits.limits()?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    /// How requests go to its instances.
    pub(crate) fn upstream(&self) -> Result<UpstreamSettings, String> {
        for (name, span) in [("response_timeout", self.response_timeout), ("body_timeout", self.body_timeout)]
        {
            if span.0.is_zero() {
                return Err(format!("{name} must be longer than zero, like `60s`"));
            }
        }
        Ok(UpstreamSettings {
            response_timeout: self.response_timeout.0,
            body_idle: self.body_timeout.0,
            balance: balance(&self.balance)?,
            sticky: self.sticky.as_ref().map(sticky).transpose()?,
            start_wait: self.start_timeout.map(|span| span.0).filter(|time| !time.is_zero()),
            ..UpstreamSettings::default()
        })
    }

    fn expect(&self) -> Result<RangeInclusive<u16>, String> {
        let wrong = || "ready.expect: write status codes like `200-399` or `'204'`".to_owned();
        statuses(&self.ready.expect).ok_or_else(wrong)
    }
}

fn path(text: &str) -> Result<Uri, String> {
    let parsed = text.parse::<Uri>().ok().filter(|uri| text.starts_with('/') && uri.authority().is_none());
    parsed.ok_or_else(|| "ready.path must begin with `/`, like `/health`".to_owned())
}

fn one() -> usize {
    1
}

impl<'de> Deserialize<'de> for CommandConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = CommandConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command, like `node server.js` or [node, server.js]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommandConfig, E> {
                Ok(CommandConfig::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<CommandConfig, A::Error> {
                let mut list = Vec::new();
                while let Some(word) = words.next_element()? {
                    list.push(word);
                }
                Ok(CommandConfig::Words(list))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl<'de> Visitor<'de> for Value {
            type Value = EnvValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a secret: `{env: NAME}` or `{file: PATH}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<EnvValue, E> {
                Ok(EnvValue::Plain(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<EnvValue, E> {
                Ok(EnvValue::Plain(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<EnvValue, E> {
                Ok(EnvValue::Plain(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<EnvValue, E> {
                Ok(EnvValue::Plain(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<EnvValue, E> {
                Err(E::custom("put a number with a point into quotes, so that it stays as it is written"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EnvValue, A::Error> {
                SecretRef::deserialize(MapAccessDeserializer::new(map)).map(EnvValue::Secret)
            }
        }

        deserializer.deserialize_any(Value)
    }
}

#[cfg(test)]
mod tests;
