//! Routes that lead to several upstreams, by shares.

use std::sync::Arc;

use http::HeaderName;
use iap_core::target::{Split, SplitBy, Variant};
use iap_core::{Target, Upstream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shares of a route's requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitConfig {
    /// `client`, `user`, or `header:`, `cookie:`, `sticky:` with the name of a field or cookie.
    #[serde(default = "by_client")]
    pub(crate) by: String,
    pub(crate) variants: Vec<VariantConfig>,
}

/// One of the upstreams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariantConfig {
    /// The name of the upstream, and of the variant.
    pub(crate) upstream: String,
    pub(crate) weight: u32,
}

fn by_client() -> String {
    "client".into()
}

impl SplitConfig {
    /// Whether it can work; upstreams are not looked at.
    pub(super) fn check(&self) -> Result<(), String> {
        self.build_with("", |_| Ok(Target::respond(http::StatusCode::OK, ""))).map(drop)
    }

    /// The split of a route, with its upstreams.
    pub(crate) fn build(
        &self,
        route: &str,
        upstream: impl Fn(&str) -> Result<Arc<Upstream>, String>,
    ) -> Result<Split, String> {
        self.build_with(route, |name| upstream(name).map(Target::Upstream))
    }

    fn build_with(
        &self,
        route: &str,
        target: impl Fn(&str) -> Result<Target, String>,
    ) -> Result<Split, String> {
        let mut variants = Vec::with_capacity(self.variants.len());
        for config in &self.variants {
            let target = target(&config.upstream)?;
            variants.push(Variant::new(config.upstream.as_str(), config.weight, target));
        }
        Split::new(route, self.by()?, variants).map_err(|error| format!("split: {error}"))
    }

    fn by(&self) -> Result<SplitBy, String> {
        let (kind, name) = self.by.split_once(':').map_or((self.by.as_str(), None), |(kind, name)| {
            (kind, Some(name.trim()).filter(|name| !name.is_empty()))
        });
        match (kind, name) {
            ("client", None) => Ok(SplitBy::Client),
            ("user", None) => Ok(SplitBy::User),
            ("cookie", Some(name)) => Ok(SplitBy::Cookie(name.to_owned())),
            ("sticky", Some(name)) => Ok(SplitBy::Sticky(name.to_owned())),
            ("header", Some(name)) => {
                let field = name.parse::<HeaderName>();
                field.map(SplitBy::Header).map_err(|_| format!("split.by: `{name}` is no field"))
            }
            _ => Err(
                "split.by: write client, user, `header: x-tenant`, `cookie: visitor` or `sticky: variant`"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
