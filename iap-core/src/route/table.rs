//! The lookup structure: a host map over one segment tree per host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Method;

use super::conditions::Head;
use super::tree::{Search, Tree, is_catch_all, is_parameter, parameter};
use super::{Route, RouteError};

/// An immutable set of routes. Lookup cost grows with the path's depth, not with the number of routes.
///
/// An exact host wins over a wildcard, a longer wildcard over a shorter one, any of them over "all hosts".
/// Within a host the longer path wins, a written segment over a parameter, an exact path over a prefix,
/// and of routes with the same path the one with more conditions, then the one that was given first. Where
/// none of a host's routes takes a request, the next wider host is asked.
#[derive(Debug, Default)]
pub struct RouteTable {
    exact: HashMap<Box<str>, Tree>,
    /// Keyed by the part after `*.`.
    wildcard: HashMap<Box<str>, Tree>,
    any: Tree,
    routes: Vec<Arc<Route>>,
    names: HashSet<Arc<str>>,
}

/// Why there is no route for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoRoute {
    /// No route has this host and path.
    NotFound,
    /// Some have, but for these methods only.
    WrongMethod(Vec<Method>),
}

impl RouteTable {
    /// Builds the table, or says which routes contradict each other.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, RouteError> {
        let mut table = Self::default();
        for route in routes {
            table.insert(route)?;
        }
        Ok(table)
    }

    /// The same, for a table that takes the place of another one. What a route counts goes on by its name: the
    /// rates of limits that are the same as before, and the requests that still run.
    pub fn replacing(
        before: &RouteTable,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, RouteError> {
        let named = before.routes.iter().map(|route| (&route.name, route));
        let named: HashMap<_, _> = named.collect();
        Self::new(routes.into_iter().map(|mut route| {
            let earlier = named.get(&route.name).and_then(|earlier| earlier.rules());
            if let (Some(rules), Some(earlier)) = (&mut route.rules, earlier) {
                rules.go_on(earlier);
            }
            route
        }))
    }

    fn insert(&mut self, route: Route) -> Result<(), RouteError> {
        check_path(&route)?;
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
        let route = Arc::new(route);
        tree.insert(&route)?;
        self.routes.push(route);
        Ok(())
    }

    /// All routes, in the order they were given.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route for a host (lower case, without port) and a request whose path is canonical.
    pub fn find(&self, host: &str, request: Head<'_>) -> Result<&Arc<Route>, NoRoute> {
        let (path, mut search) = (request.uri.path(), Search::default());
        let exact = self.exact.get(host).and_then(|tree| tree.find(path, request, &mut search));
        let found = exact
            .or_else(|| self.find_wildcard(host, path, request, &mut search))
            .or_else(|| self.any.find(path, request, &mut search));
        found.ok_or(if search.allowed.is_empty() {
            NoRoute::NotFound
        } else {
            NoRoute::WrongMethod(search.allowed)
        })
    }

    fn find_wildcard(
        &self,
        mut host: &str,
        path: &str,
        request: Head<'_>,
        search: &mut Search,
    ) -> Option<&Arc<Route>> {
        if self.wildcard.is_empty() {
            return None;
        }
        while let Some((_, domain)) = host.split_once('.') {
            if let Some(tree) = self.wildcard.get(domain)
                && let Some(route) = tree.find(path, request, search)
            {
                return Some(route);
            }
            host = domain;
        }
        None
    }
}

fn check_path(route: &Route) -> Result<(), RouteError> {
    let bad = || RouteError::BadPrefix { route: route.name.clone(), prefix: route.path.clone() };
    let trimmed = route.path.strip_suffix('/').unwrap_or(&route.path);
    if !route.path.starts_with('/') || trimmed.split('/').skip(1).any(|part| matches!(part, "" | "." | ".."))
    {
        return Err(bad());
    }
    let mut names = HashSet::new();
    let mut segments = trimmed.split('/').peekable();
    while let Some(segment) = segments.next() {
        if !segment.contains(['{', '}']) {
            continue;
        }
        if is_catch_all(segment) && (segments.peek().is_some() || route.is_exact) {
            return Err(RouteError::BadCatchAll { route: route.name.clone(), segment: segment.into() });
        }
        let name = parameter(segment).unwrap_or_default();
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_parameter(segment) || !is_name || !names.insert(name) {
            return Err(RouteError::BadParameter { route: route.name.clone(), segment: segment.into() });
        }
    }
    Ok(())
}

/// A host that the gate lets through, `*`, or `*.` before one.
fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_ip6 = host.starts_with('[') && host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
    host == "*" || is_ip6 || (!name.is_empty() && name.bytes().all(is_name) && !name.starts_with('.'))
}
