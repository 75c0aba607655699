//! Who is told of what.

use std::collections::{BTreeMap, BTreeSet};

use iap_apm::MetricFunction;
use iap_ops::alerts::{Bound, Measure, Rule, Severity, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upstream::UpstreamTlsConfig;
use super::{Lang, SecretRef, Span};

/// Rules, and the channels by which people are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlertsConfig {
    /// How often rules are judged.
    pub(crate) every: Span,
    /// The language of messages.
    pub(crate) language: Lang,
    /// Where people reach the console: messages lead there.
    pub(crate) console: Option<String>,
    pub(crate) channels: BTreeMap<String, ChannelConfig>,
    pub(crate) rules: Vec<RuleConfig>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            every: Span::seconds(10),
            language: Lang::En,
            console: None,
            channels: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// One of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum ChannelConfig {
    /// JSON by POST, signed.
    Webhook(WebhookConfig),
    /// Text by POST, as Slack and others take it.
    Slack(SlackConfig),
    /// E-mail by SMTP.
    Mail(MailConfig),
}

impl ChannelConfig {
    /// What it needs to be read from elsewhere.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let (one, other) = match self {
            Self::Webhook(webhook) => (Some(&webhook.url), webhook.secret.as_ref()),
            Self::Slack(slack) => (Some(&slack.url), None),
            Self::Mail(mail) => (None, mail.password.as_ref()),
        };
        one.into_iter().chain(other)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookConfig {
    pub(crate) url: SecretRef,
    #[serde(default)]
    pub(crate) secret: Option<SecretRef>,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackConfig {
    pub(crate) url: SecretRef,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailConfig {
    pub(crate) host: String,
    #[serde(default)]
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) security: Security,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    Tls,
    #[default]
    StartTls,
    None,
}

/// A rule. It measures one of `measure`, `metric`, `slo`, and has one of `above`, `below`, `absent`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) severity: Severity,
    /// The route that `measure` and `slo` are about; each on its own when absent.
    #[serde(default)]
    pub(crate) route: Option<String>,
    #[serde(default)]
    pub(crate) measure: Option<MeasureConfig>,
    /// What counts as fast, for `measure: apdex`.
    #[serde(default)]
    pub(crate) apdex: Option<Span>,
    #[serde(default)]
    pub(crate) slo: Option<SloConfig>,
    #[serde(default)]
    pub(crate) metric: Option<MetricConfig>,
    #[serde(default)]
    pub(crate) over: Option<Span>,
    #[serde(default)]
    pub(crate) above: Option<f64>,
    #[serde(default)]
    pub(crate) below: Option<f64>,
    #[serde(default)]
    pub(crate) absent: bool,
    #[serde(default, rename = "for")]
    pub(crate) lasts: Option<Span>,
    #[serde(default)]
    pub(crate) recovers_at: Option<f64>,
    #[serde(default)]
    pub(crate) min_requests: Option<u64>,
    /// Channels that are told.
    #[serde(default)]
    pub(crate) notify: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MeasureConfig {
    Rate,
    ErrorPercent,
    P50,
    P95,
    P99,
    Apdex,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SloConfig {
    /// The percentage of requests that is to be good.
    pub(crate) objective: f64,
    /// A good request takes no longer.
    #[serde(default)]
    pub(crate) faster_than: Option<Span>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) service: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) function: Option<MetricFunction>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) by: Vec<String>,
}

/// Rules of one configuration.
const MAX_RULES: usize = 500;

impl AlertsConfig {
    /// The rules for the engine.
    pub(crate) fn rules(&self) -> Result<Vec<Rule>, String> {
        let rule = |rule: &RuleConfig| {
            let made = rule.rule().and_then(|made| made.check().map(|()| made));
            made.map_err(|error| format!("alerts.rules: `{}`: {error}", rule.name))
        };
        self.rules.iter().map(rule).collect()
    }

    /// What is wrong with it, if anything.
    pub(super) fn check(&self, routes: &BTreeSet<&str>) -> Result<(), String> {
        if self.every.0.as_secs() == 0 {
            return Err("alerts.every: at least 1s".to_owned());
        }
        if self.rules.len() > MAX_RULES {
            return Err(format!("alerts.rules: at most {MAX_RULES}"));
        }
        self.rules()?;
        let mut names = BTreeSet::new();
        for rule in &self.rules {
            let wrong = |text: String| Err(format!("alerts.rules: `{}`: {text}", rule.name));
            if !names.insert(&rule.name) {
                return wrong("another rule has the same name".to_owned());
            }
            if let Some(unknown) = rule.notify.iter().find(|name| !self.channels.contains_key(*name)) {
                return wrong(format!("notify: there is no channel `{unknown}` in alerts.channels"));
            }
            if let Some(route) = &rule.route
                && !routes.contains(route.as_str())
            {
                return wrong(format!("route: there is no route `{route}`"));
            }
        }
        for (name, channel) in &self.channels {
            if let ChannelConfig::Mail(mail) = channel
                && mail.user.is_some() != mail.password.is_some()
            {
                return Err(format!("alerts.channels.{name}.mail: user and password belong together"));
            }
        }
        Ok(())
    }
}

impl RuleConfig {
    fn rule(&self) -> Result<Rule, String> {
        let signal = match (&self.measure, &self.slo, &self.metric) {
            (Some(measure), None, None) => {
                Signal::Route { route: self.route.clone(), measure: self.measured(*measure)? }
            }
            (None, Some(slo), None) => Signal::Burn {
                route: self.route.clone(),
                objective: slo.objective,
                faster_than: slo.faster_than.map(|span| span.0),
            },
            (None, None, Some(metric)) if self.route.is_none() => Signal::Metric {
                name: metric.name.clone(),
                service: metric.service.clone(),
                function: metric.function,
                filter: metric.labels.clone(),
                by: metric.by.clone(),
            },
            (None, None, Some(_)) => return Err("route: a metric has labels instead".to_owned()),
            _ => return Err("one of `measure`, `slo` and `metric` says what is judged".to_owned()),
        };
        let bound = match (self.above, self.below, self.absent) {
            (Some(bound), None, false) => Bound::Above(bound),
            (None, Some(bound), false) => Bound::Below(bound),
            (None, None, true) => Bound::Absent,
            _ => return Err("one of `above`, `below` and `absent: true` says when it is broken".to_owned()),
        };
        let usual = match signal {
            Signal::Burn { .. } => Span::seconds(3600),
            _ => Span::seconds(300),
        };
        Ok(Rule {
            name: self.name.clone(),
            description: self.description.clone(),
            severity: self.severity,
            signal,
            over: self.over.unwrap_or(usual).0,
            bound,
            lasts: self.lasts.unwrap_or(Span::seconds(0)).0,
            recovers_at: self.recovers_at,
            min_requests: self.min_requests.unwrap_or(1),
            channels: self.notify.clone(),
        })
    }

    fn measured(&self, measure: MeasureConfig) -> Result<Measure, String> {
        match (measure, self.apdex) {
            (MeasureConfig::Apdex, Some(fast)) if !fast.0.is_zero() => Ok(Measure::Apdex(fast.0)),
            (MeasureConfig::Apdex, _) => Err("apdex: what counts as fast, like `500ms`".to_owned()),
            (_, Some(_)) => Err("apdex: it belongs to `measure: apdex`".to_owned()),
            (MeasureConfig::Rate, None) => Ok(Measure::Rate),
            (MeasureConfig::ErrorPercent, None) => Ok(Measure::ErrorPercent),
            (MeasureConfig::P50, None) => Ok(Measure::P50),
            (MeasureConfig::P95, None) => Ok(Measure::P95),
            (MeasureConfig::P99, None) => Ok(Measure::P99),
        }
    }
}

#[cfg(test)]
mod tests;
