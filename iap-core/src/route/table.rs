//! The lookup structure: a host map over one segment tree per host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Route;

/// An immutable set of routes. Lookup cost grows with the path's depth, not with the number of
/// routes. An exact host wins over a wildcard, a longer wildcard over a shorter one, any of them
/// over "all hosts"; within a host the longest prefix wins. A host whose tree has no match falls
/// back to the next wider one.
#[derive(Debug, Default)]
pub struct RouteTable {
    exact: HashMap<Box<str>, Tree>,
    /// Keyed by the part after `*.`.
    wildcard: HashMap<Box<str>, Tree>,
    any: Tree,
    routes: Vec<Arc<Route>>,
    names: HashSet<Arc<str>>,
}

/// Why a set of routes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two routes match the same host and prefix.
    #[error("route `{second}` has the same host and prefix as route `{first}`")]
    Duplicate {
        /// The route that came first.
        first: Arc<str>,
        /// The route that was refused.
        second: Arc<str>,
    },
    /// Two routes have the same name.
    #[error("two routes are named `{0}`")]
    DuplicateName(Arc<str>),
    /// A prefix does not begin with `/`, or is not in canonical form.
    #[error(
        "route `{route}`: the path prefix `{prefix}` must begin with `/` and hold no `//`, `.` or `..` segments"
    )]
    BadPrefix {
        /// The route.
        route: Arc<str>,
        /// Its prefix.
        prefix: Box<str>,
    },
    /// A host can never match: it has a port, a scheme, or a `*` elsewhere than in `*.domain`.
    #[error(
        "route `{route}`: `{host}` is no host name: write `shop.example` or `*.shop.example`, without a port"
    )]
    BadHost {
        /// The route.
        route: Arc<str>,
        /// Its host.
        host: Box<str>,
    },
}

impl RouteError {
    /// The route that was refused; of two that contradict each other the second.
    pub fn route(&self) -> &Arc<str> {
        match self {
            Self::Duplicate { second: route, .. }
            | Self::DuplicateName(route)
            | Self::BadPrefix { route, .. }
            | Self::BadHost { route, .. } => route,
        }
    }
}

impl RouteTable {
    /// Builds the table, or says which routes contradict each other.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, RouteError> {
        let mut table = Self::default();
        for route in routes {
            table.insert(Arc::new(route))?;
        }
        Ok(table)
    }

    fn insert(&mut self, route: Arc<Route>) -> Result<(), RouteError> {
        let bad_segment = |segment: &str| matches!(segment, "" | "." | "..");
        let trimmed = route.prefix.strip_suffix('/').unwrap_or(&route.prefix);
        if !route.prefix.starts_with('/') || trimmed.split('/').skip(1).any(bad_segment) {
            return Err(RouteError::BadPrefix { route: route.name.clone(), prefix: route.prefix.clone() });
        }
        if let Some(host) = route.host.as_deref().filter(|host| !is_host(host)) {
            return Err(RouteError::BadHost { route: route.name.clone(), host: host.into() });
        }
        if !self.names.insert(route.name.clone()) {
            return Err(RouteError::DuplicateName(route.name.clone()));
        }
        let tree = match route.host.as_deref() {
            None | Some("*") => &mut self.any,
            Some(host) => match host.strip_prefix("*.") {
                Some(domain) => self.wildcard.entry(domain.into()).or_default(),
                None => self.exact.entry(host.into()).or_default(),
            },
        };
        tree.insert(&route)?;
        self.routes.push(route);
        Ok(())
    }

    /// All routes, in the order they were given.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route for a host (lower case, without port) and a canonical path.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.exact
            .get(host)
            .and_then(|tree| tree.find(path))
            .or_else(|| self.find_wildcard(host, path))
            .or_else(|| self.any.find(path))
    }

    fn find_wildcard(&self, mut host: &str, path: &str) -> Option<&Arc<Route>> {
        if self.wildcard.is_empty() {
            return None;
        }
        while let Some((_, domain)) = host.split_once('.') {
            if let Some(route) = self.wildcard.get(domain).and_then(|tree| tree.find(path)) {
                return Some(route);
            }
            host = domain;
        }
        None
    }
}

/// A host that the gate lets through, `*`, or `*.` before one.
fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_ip6 = host.starts_with('[') && host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
    host == "*" || is_ip6 || (!name.is_empty() && name.bytes().all(is_name) && !name.starts_with('.'))
}

/// A tree of path segments.
#[derive(Debug, Default)]
struct Tree {
    route: Option<Arc<Route>>,
    children: HashMap<Box<str>, Tree>,
}

impl Tree {
    fn insert(&mut self, route: &Arc<Route>) -> Result<(), RouteError> {
        let mut node = self;
        for segment in segments(&route.prefix) {
            node = node.children.entry(segment.into()).or_default();
        }
        match &node.route {
            Some(first) => {
                Err(RouteError::Duplicate { first: first.name.clone(), second: route.name.clone() })
            }
            None => {
                node.route = Some(route.clone());
                Ok(())
            }
        }
    }

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let mut node = self;
        let mut best = self.route.as_ref();
        for segment in segments(path) {
            let Some(child) = node.children.get(segment) else { break };
            node = child;
            best = node.route.as_ref().or(best);
        }
        best
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn route(name: &str, host: Option<&str>, prefix: &str) -> Route {
        let route = Route::new(name, prefix, Target::respond(http::StatusCode::OK, ""));
        match host {
            Some(host) => route.host(host),
            None => route,
        }
    }

    #[test]
    fn the_narrowest_host_and_the_longest_prefix_win() {
        let table = RouteTable::new([
            route("root", None, "/"),
            route("shop", None, "/shop"),
            route("cart", None, "/shop/cart/"),
            route("exact", Some("A.example.org"), "/shop"),
            route("wild", Some("*.example.org"), "/"),
            route("deep", Some("*.b.example.org"), "/x"),
        ])
        .unwrap();
        let cases = [
            ("h", "/", "root"),
            ("h", "/shopping", "root"),
            ("h", "/shop", "shop"),
            ("h", "/shop/", "shop"),
            ("h", "/shop/cart/1", "cart"),
            ("a.example.org", "/shop/1", "exact"),
            ("a.example.org", "/else", "wild"),
            ("x.y.example.org", "/", "wild"),
            ("c.b.example.org", "/x/1", "deep"),
            ("c.b.example.org", "/y", "wild"),
            ("example.org", "/y", "root"),
        ];
        for (host, path, expected) in cases {
            assert_eq!(&**table.find(host, path).unwrap().name(), expected, "{host}{path}");
        }
        assert!(RouteTable::new([route("a", None, "/a")]).unwrap().find("h", "/b").is_none());
    }

    #[test]
    fn contradictions_are_named() {
        let error = |routes| RouteTable::new(routes).unwrap_err().to_string();
        assert!(error(vec![route("a", None, "/x"), route("b", None, "/x/")]).contains("route `b`"));
        assert!(error(vec![route("a", None, "/x"), route("a", None, "/y")]).contains("named `a`"));
        for host in ["x.org:80", "a b", "x.*.org", "http://x.org", "m\u{fc}ller.de", "", "*."] {
            assert!(error(vec![route("a", Some(host), "/")]).contains("is no host name"), "{host}");
        }
        for host in ["*", "x.org", "*.x.org", "localhost", "[::1]", "127.0.0.1"] {
            assert!(RouteTable::new([route("a", Some(host), "/")]).is_ok(), "{host}");
        }
        for prefix in ["x", "", "/a//b", "/a/../b", "/./a"] {
            assert!(error(vec![route("a", None, prefix)]).contains("must begin"), "{prefix}");
        }
    }
}
