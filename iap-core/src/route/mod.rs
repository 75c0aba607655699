//! Routes: which target answers a request. Matching is a pure lookup of host and path.

mod table;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::target::Target;

pub use table::{RouteError, RouteTable};

/// A route: what it matches, where it leads, and the policies that layers attach to it.
pub struct Route {
    name: Arc<str>,
    host: Option<Box<str>>,
    prefix: Box<str>,
    target: Target,
    policies: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Route {
    /// A route for all hosts and all paths below `prefix` (whole segments: `/shop` matches
    /// `/shop` and `/shop/cart`, not `/shopping`).
    pub fn new(name: impl Into<Arc<str>>, prefix: impl Into<Box<str>>, target: Target) -> Self {
        Self { name: name.into(), host: None, prefix: prefix.into(), target, policies: HashMap::new() }
    }

    /// Limits the route to one host name (without port, any case), or to all names below a
    /// domain with `*.example.org`.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_ascii_lowercase().into());
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

    /// The path prefix it matches.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("prefix", &self.prefix)
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

    /// Where the route leads; `matches!(route.target(), Target::Upstream(_))` tells a proxied
    /// request from the others.
    pub fn target(&self) -> &Target {
        self.0.target()
    }

    /// The policy of type `P` that was attached with [`Route::with_policy`].
    pub fn policy<P: Any>(&self) -> Option<&P> {
        self.0.policies.get(&TypeId::of::<P>())?.downcast_ref()
    }
}
