//! The routes of one host: a tree of path segments.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::conditions::{Head, Verdict};
use super::{Route, RouteError};

/// How many routes may differ in nothing but their conditions. They are looked at one after the other.
const MAX_ALTERNATIVES: usize = 64;

/// A node of the tree, and all that lies below it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Routes of exactly this path.
    exact: Alternatives,
    /// Routes of this path and all below it.
    prefix: Alternatives,
    children: HashMap<Box<str>, Tree>,
    /// Any other segment.
    parameter: Option<Box<Tree>>,
}

/// Routes of one place, the narrowest first.
type Alternatives = Vec<Arc<Route>>;

/// What a search has come upon so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Methods that some route of the path takes.
    pub(super) allowed: Vec<Method>,
}

impl Tree {
    pub(super) fn insert(&mut self, route: &Arc<Route>) -> Result<(), RouteError> {
        let mut node = self;
        for segment in segments(&route.path) {
            node = if is_parameter(segment) {
                node.parameter.get_or_insert_default()
            } else {
                node.children.entry(segment.into()).or_default()
            };
        }
        let place = if route.is_exact { &mut node.exact } else { &mut node.prefix };
        if let Some(first) = place.iter().find(|other| other.conditions == route.conditions) {
            return Err(RouteError::Duplicate { first: first.name.clone(), second: route.name.clone() });
        }
        if place.len() >= MAX_ALTERNATIVES {
            return Err(RouteError::TooMany { route: route.name.clone(), most: MAX_ALTERNATIVES });
        }
        let count = route.conditions.count();
        let at = place.iter().position(|other| other.conditions.count() < count).unwrap_or(place.len());
        place.insert(at, route.clone());
        Ok(())
    }

    /// The narrowest route whose conditions hold. The longer path wins, a written segment over a
    /// parameter, the exact path over the prefix, more conditions over fewer.
    ///
    /// Each node is visited once at most, so the cost is bounded by the number of nodes that fit.
    pub(super) fn find(&self, path: &str, request: Head<'_>, search: &mut Search) -> Option<&Arc<Route>> {
        let rest = path.trim_start_matches('/');
        if rest.is_empty() {
            let exact = pick(&self.exact, request, search);
            return exact.or_else(|| pick(&self.prefix, request, search));
        }
        let (segment, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let child = self.children.get(segment).and_then(|child| child.find(rest, request, search));
        child
            .or_else(|| self.parameter.as_ref().and_then(|child| child.find(rest, request, search)))
            .or_else(|| pick(&self.prefix, request, search))
    }
}

fn pick<'t>(place: &'t Alternatives, request: Head<'_>, search: &mut Search) -> Option<&'t Arc<Route>> {
    place.iter().find(|route| match route.conditions.check(request) {
        Verdict::Holds => true,
        Verdict::Fails => false,
        Verdict::WrongMethod => {
            for method in route.conditions.allowed() {
                // Whoever may GET may ask for the head.
                let implied = (method == Method::GET).then_some(&Method::HEAD);
                for method in std::iter::once(method).chain(implied) {
                    if !search.allowed.contains(method) {
                        search.allowed.push(method.clone());
                    }
                }
            }
            false
        }
    })
}

pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Whether a segment of a route's path stands for any. One that stands for all that follows is one as well:
/// it takes the same requests, since a route takes what is below its path.
pub(super) fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Whether it stands for all that follows.
pub(super) fn is_catch_all(segment: &str) -> bool {
    segment.starts_with("{*")
}

/// The name of a parameter.
pub(super) fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_prefix('*').unwrap_or(name))
}

/// The parameters of a route's path, with what they stand for in the path of a request.
pub(super) fn parameters<'p>(own: &'p str, path: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
    segments(own).zip(segments_to_end(path)).filter_map(|(own, (segment, to_end))| {
        Some((parameter(own)?, if is_catch_all(own) { to_end } else { segment }))
    })
}

/// Each segment, and the path from there to its end.
fn segments_to_end(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let to_end = rest.trim_start_matches('/');
        let (segment, after) = to_end.split_at(to_end.find('/').unwrap_or(to_end.len()));
        rest = after;
        (!segment.is_empty()).then_some((segment, to_end))
    })
}
