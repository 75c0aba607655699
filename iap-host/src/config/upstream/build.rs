//! What the core is told of an upstream. Reads no files: TLS is left to the boot.

use std::fmt::Display;
use std::ops::RangeInclusive;

use http::{HeaderValue, StatusCode, Uri};
use iap_core::upstream::{
    Balance, Ejection, HashBy, HealthCheck, Hedge, InFlightLimits, Protocol, Retry, ServerSettings, Sticky,
    UpstreamSettings, UpstreamTlsSettings,
};

use super::policy::{HashConfig, HedgeConfig};
use super::{
    BalanceConfig, HealthConfig, ProtocolConfig, RetryConfig, StickyConfig, TextOr, UpstreamConfig,
    UpstreamTlsConfig,
};
use crate::config::{Config, Span};

/// Checks all upstreams; an error comes with the name of one that has one.
pub(in crate::config) fn check(config: &Config) -> Result<(), (String, String)> {
    for (name, upstream) in &config.upstreams {
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err((
                name.clone(),
                "an upstream needs a name of 1 to 64 printable characters".to_owned(),
            ));
        }
        upstream
            .check()
            .map_err(|message| (name.clone(), format!("upstream `{}`: {message}", name.escape_debug())))?;
    }
    Ok(())
}

impl UpstreamTlsConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err("tls.certificate and tls.key belong together".to_owned());
        }
        if self.insecure_skip_verify && self.ca.is_some() {
            return Err("tls.insecure_skip_verify believes anybody: remove it, or tls.ca".to_owned());
        }
        Ok(())
    }

    pub(crate) fn settings(self) -> UpstreamTlsSettings {
        UpstreamTlsSettings {
            ca: self.ca,
            server_name: self.server_name,
            client: self.certificate.zip(self.key),
            insecure_skip_verify: self.insecure_skip_verify,
        }
    }
}

impl UpstreamConfig {
    /// Everything that can be checked without files and sockets.
    pub(crate) fn check(&self) -> Result<(), String> {
        let servers = self.servers()?;
        self.settings()?;
        match &self.tls {
            Some(_) if !servers.iter().any(ServerSettings::is_tls) => {
                return Err("`tls` is set, but no server is written with https://".to_owned());
            }
            Some(tls) => tls.check()?,
            None => {}
        }
        if matches!(self.sticky, Some(StickyConfig::Route(_)))
            && self.servers.iter().any(|server| !is_named(server))
        {
            return Err(
                "sticky.route looks for names: write each server like `{url: http://host, name: node1}`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(crate) fn servers(&self) -> Result<Vec<ServerSettings>, String> {
        let parse = |server: &TextOr<super::ServerConfig>| {
            let parsed = match server {
                TextOr::Text(url) => ServerSettings::parse(url),
                TextOr::Block(block) => ServerSettings::parse(&block.url).map(|server| {
                    let server = server.weight(block.weight);
                    match &block.name {
                        Some(name) => server.name(name.as_str()),
                        None => server,
                    }
                }),
            };
            parsed.map_err(|error| error.to_string())
        };
        let servers = self.servers.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        ServerSettings::check(&servers).map_err(|error| error.to_string())?;
        Ok(servers)
    }

    /// What TLS needs, where a server is reached over it.
    pub(crate) fn tls(&self) -> Option<UpstreamTlsSettings> {
        let servers = self.servers().ok()?;
        servers.iter().any(ServerSettings::is_tls).then(|| self.tls.clone().unwrap_or_default().settings())
    }

    /// All but TLS.
    pub(crate) fn settings(&self) -> Result<UpstreamSettings, String> {
        for (name, span) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("body_timeout", self.body_timeout),
            ("idle_timeout", self.idle_timeout),
            ("resolve_every", self.resolve_every),
        ] {
            positive(name, span)?;
        }
        at_least_one("max_streams", self.max_streams as u64)?;
        Ok(UpstreamSettings {
            connect_timeout: self.connect_timeout.0,
            response_timeout: self.response_timeout.0,
            body_idle: self.body_timeout.0,
            fail_pause: self.fail_pause.0,
            idle_timeout: self.idle_timeout.0,
            max_idle: self.max_idle,
            protocol: match self.protocol {
                ProtocolConfig::Auto => Protocol::Auto,
                ProtocolConfig::Http1 => Protocol::Http1,
                ProtocolConfig::Http2 => Protocol::Http2,
            },
            max_streams: self.max_streams,
            tls: None,
            balance: balance(&self.balance)?,
            sticky: self.sticky.as_ref().map(sticky).transpose()?,
            slow_start: self
                .slow_start
                .map(|span| positive("slow_start", span))
                .transpose()?
                .map(|span| span.0),
            health: self.health.as_ref().map(health).transpose()?,
            ejection: self.ejection()?,
            retry: self.retry.as_ref().map(retry).transpose()?,
            hedge: self.hedge.as_ref().map(hedge).transpose()?,
            limits: self.limits()?,
            forwarded: self.forwarded,
            resolve_every: self.resolve_every.0,
            start_wait: None,
        })
    }

    fn ejection(&self) -> Result<Option<Ejection>, String> {
        let Some(ejection) = &self.ejection else { return Ok(None) };
        at_least_one("ejection.failures", ejection.failures.into())?;
        at_least_one("ejection.probes", ejection.probes.into())?;
        positive("ejection.base_time", ejection.base_time)?;
        if ejection.max_time < ejection.base_time {
            return Err("ejection.max_time is shorter than ejection.base_time".to_owned());
        }
        Ok(Some(Ejection {
            failures: ejection.failures,
            base_time: ejection.base_time.0,
            max_time: ejection.max_time.0,
            max_percent: percent("ejection.max_percent", ejection.max_percent.into())? as u8,
            probes: ejection.probes,
        }))
    }

    fn limits(&self) -> Result<Option<InFlightLimits>, String> {
        let Some(limits) = &self.limits else { return Ok(None) };
        for (name, limit) in [
            ("limits.total", limits.total),
            ("limits.per_server", limits.per_server),
            ("limits.connections_per_server", limits.connections_per_server),
        ] {
            limit.map(|limit| at_least_one(name, limit as u64)).transpose()?;
        }
        if [limits.total, limits.per_server, limits.connections_per_server] == [None; 3] {
            return Err("limits bounds nothing: set total, per_server or connections_per_server".to_owned());
        }
        positive("limits.queue_timeout", limits.queue_timeout)?;
        Ok(Some(InFlightLimits {
            total: limits.total,
            per_server: limits.per_server,
            connections_per_server: limits.connections_per_server,
            queue: limits.queue,
            queue_timeout: limits.queue_timeout.0,
        }))
    }
}

fn is_named(server: &TextOr<super::ServerConfig>) -> bool {
    matches!(server, TextOr::Block(block) if block.name.is_some())
}

pub(in crate::config) fn balance(balance: &BalanceConfig) -> Result<Balance, String> {
    Ok(match balance {
        BalanceConfig::RoundRobin => Balance::RoundRobin,
        BalanceConfig::LeastRequests => Balance::LeastRequests,
        BalanceConfig::Hash(HashConfig::Client) => Balance::Hash(HashBy::Client),
        BalanceConfig::Hash(HashConfig::Path) => Balance::Hash(HashBy::Path),
        BalanceConfig::Hash(HashConfig::Cookie(name)) => Balance::Hash(HashBy::Cookie(cookie_name(name)?)),
        BalanceConfig::Hash(HashConfig::Header(name)) => {
            let parsed =
                name.parse().map_err(|_| format!("balance: `{}` is no field name", name.escape_debug()))?;
            Balance::Hash(HashBy::Header(parsed))
        }
    })
}

pub(in crate::config) fn sticky(sticky: &StickyConfig) -> Result<Sticky, String> {
    Ok(match sticky {
        StickyConfig::Cookie(name) => Sticky::Cookie { name: cookie_name(name)? },
        StickyConfig::Route(name) => Sticky::Route { cookie: cookie_name(name)? },
    })
}

fn cookie_name(name: &str) -> Result<Box<str>, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("`{}` is no cookie name", name.escape_debug()));
    }
    Ok(name.into())
}

fn health(health: &HealthConfig) -> Result<HealthCheck, String> {
    positive("health.interval", health.interval)?;
    positive("health.timeout", health.timeout)?;
    at_least_one("health.rise", health.rise.into())?;
    at_least_one("health.fall", health.fall.into())?;
    let path = |path: &String| {
        let parsed =
            path.parse::<Uri>().ok().filter(|uri| path.starts_with('/') && uri.authority().is_none());
        parsed.ok_or_else(|| "health.path must begin with `/`, like `/health`".to_owned())
    };
    let host = |host: &String| {
        let is_host = !host.is_empty() && host.parse::<http::uri::Authority>().is_ok();
        HeaderValue::from_str(host)
            .ok()
            .filter(|_| is_host)
            .ok_or_else(|| "health.host is no host".to_owned())
    };
    Ok(HealthCheck {
        path: health.path.as_ref().map(path).transpose()?,
        host: health.host.as_ref().map(host).transpose()?,
        interval: health.interval.0,
        timeout: health.timeout.0,
        expect: statuses(&health.expect)
            .ok_or_else(|| "health.expect: write status codes like `200-399` or `'204'`".to_owned())?,
        rise: health.rise,
        fall: health.fall,
    })
}

pub(in crate::config) fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (200..600).contains(code));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some(first..=last)
}

fn retry(retry: &RetryConfig) -> Result<Retry, String> {
    if !(1..=10).contains(&retry.attempts) {
        return Err("retry.attempts must be from 1 to 10".to_owned());
    }
    let status = |code: &u16| {
        let status = StatusCode::from_u16(*code).ok().filter(|status| *code >= 400 && *status != 501);
        status.ok_or_else(|| format!("retry.statuses: {code} is not the status of a failure that passes"))
    };
    Ok(Retry {
        attempts: retry.attempts,
        statuses: retry.statuses.iter().map(status).collect::<Result<_, _>>()?,
        on_broken: retry.on_broken,
        on_timeout: retry.on_timeout,
        budget_percent: percent("retry.budget_percent", retry.budget_percent)?,
        budget_floor: retry.budget_floor,
    })
}

fn hedge(hedge: &HedgeConfig) -> Result<Hedge, String> {
    let after = positive("hedge.after", hedge.after)?.0;
    Ok(Hedge { after, budget_percent: percent("hedge.budget_percent", hedge.budget_percent)? })
}

fn positive(name: impl Display, span: Span) -> Result<Span, String> {
    if span.0.is_zero() {
        return Err(format!("{name} must be longer than zero, like `60s`"));
    }
    Ok(span)
}

fn at_least_one(name: &str, count: u64) -> Result<(), String> {
    if count == 0 { Err(format!("{name} must be at least 1")) } else { Ok(()) }
}

fn percent(name: &str, percent: u32) -> Result<u32, String> {
    if percent > 100 { Err(format!("{name} must be from 0 to 100")) } else { Ok(percent) }
}
