//! Routes: which target answers a request. Matching is a pure lookup of host, path and conditions.
//!
//! | file | holds |
//! |---|---|
//! | `table` | hosts, and the order of precedence |
//! | `tree` | the paths of one host |
//! | `conditions` | method, header fields, cookies, query |
//! | `params` | the values of `{name}` and `{*name}` in a path |

mod conditions;
mod error;
mod params;
mod table;
mod tree;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::rules::Rules;
use crate::target::Target;

pub use conditions::{Conditions, Head, Pattern};
pub use error::RouteError;
pub use params::PathParams;
pub use table::{NoRoute, RouteTable};

/// A route: what it matches, where it leads, and the policies that layers attach to it.
pub struct Route {
    name: Arc<str>,
    host: Option<Box<str>>,
    path: Box<str>,
    is_exact: bool,
    /// The names in its path.
    parameters: Vec<Arc<str>>,
    conditions: Conditions,
    target: Target,
    rules: Option<Box<Rules>>,
    policies: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Route {
    /// A route for all hosts and all paths below `path` (whole segments: `/shop` matches `/shop` and
    /// `/shop/cart`, not `/shopping`). A segment `{name}` stands for any, and `{*name}` at the end for one or
    /// more; the values are found in [`PathParams`].
    pub fn new(name: impl Into<Arc<str>>, path: impl Into<Box<str>>, target: Target) -> Self {
        let path = path.into();
        let names = tree::segments(&path).filter_map(tree::parameter);
        let parameters = names.map(Into::into).collect();
        Self {
            name: name.into(),
            host: None,
            path,
            is_exact: false,
            parameters,
            conditions: Conditions::default(),
            target,
            rules: None,
            policies: HashMap::new(),
        }
    }

    /// Takes the path alone, nothing below it. A slash at the end makes no difference.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// Takes only requests that fulfil these conditions.
    #[must_use]
    pub fn when(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Limits the route to one host name (without port, any case), or to all names below a
    /// domain with `*.example.org`.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_ascii_lowercase().into());
        self
    }

    /// Sets the rules for its requests: who may come, how often, what is changed on the way.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = Some(Box::new(rules));
        self
    }

    /// Attaches a policy: a value that a layer finds again by its type through
    /// [`MatchedRoute::policy`]. The core knows none of them.
    #[must_use]
    pub fn with_policy<P: Any + Send + Sync>(mut self, policy: P) -> Self {
        self.policies.insert(TypeId::of::<P>(), Box::new(policy));
        self
    }

    /// The route's name: the low-cardinality label of its requests in telemetry.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where the route leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// The value of a parameter as it stands in a path.
    pub(crate) fn raw_parameter<'p>(&'p self, name: &str, path: &'p str) -> Option<&'p str> {
        let mut all = tree::parameters(&self.path, path);
        all.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The path it matches, as it was given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The part of a request's path that the route's own path stands for, without a slash at its end and
    /// without what a `{*name}` stands for.
    pub fn matched<'p>(&self, path: &'p str) -> &'p str {
        let mut end = 0;
        for _ in tree::segments(&self.path).take_while(|own| !tree::is_catch_all(own)) {
            let rest = &path[end..];
            let skipped = rest.len() - rest.trim_start_matches('/').len();
            end += skipped + rest[skipped..].find('/').unwrap_or(rest.len() - skipped);
        }
        &path[..end]
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// The route of a request, in its extensions before any layer runs.
///
/// A layer that rewrites the path does not change the route: what was matched is what the access
/// decision was made on.
#[derive(Debug, Clone)]
pub struct MatchedRoute(pub(crate) Arc<Route>);

impl MatchedRoute {
    /// Marks a request as matched by `route`; for tests of layers without a server.
    pub fn new(route: Route) -> Self {
        Self(Arc::new(route))
    }

    /// The route's name.
    pub fn name(&self) -> &Arc<str> {
        self.0.name()
    }

    /// Where the route leads; [`Target::is_proxied`] tells a proxied request from the others.
    pub fn target(&self) -> &Target {
        self.0.target()
    }

    /// Whether the route's rules or its split ask who a request is from. A layer that knows, such as one for sessions, then
    /// puts an [`Identity`](crate::rules::Identity) into the request's extensions; elsewhere it need not look.
    pub fn asks_identity(&self) -> bool {
        let by_user = matches!(self.target(), Target::Split(split) if split.asks_user());
        by_user || self.0.rules().is_some_and(Rules::ask_identity)
    }

    /// The policy of type `P` that was attached with [`Route::with_policy`].
    pub fn policy<P: Any>(&self) -> Option<&P> {
        self.0.policies.get(&TypeId::of::<P>())?.downcast_ref()
    }
}

#[cfg(test)]
mod tests;
