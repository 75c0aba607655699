//! Why a set of routes was refused.

use std::sync::Arc;

/// Why a set of routes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two routes match the same requests.
    #[error("route `{second}` has the same host, path and conditions as route `{first}`")]
    Duplicate {
        /// The route that came first.
        first: Arc<str>,
        /// The route that was refused.
        second: Arc<str>,
    },
    /// Two routes have the same name.
    #[error("two routes are named `{0}`")]
    DuplicateName(Arc<str>),
    /// Too many routes differ in their conditions alone.
    #[error("route `{route}`: more than {most} routes have the same host and path")]
    TooMany {
        /// The route that was refused.
        route: Arc<str>,
        /// How many there may be.
        most: usize,
    },
    /// A path does not begin with `/`, or is not in canonical form.
    #[error(
        "route `{route}`: the path prefix `{prefix}` must begin with `/` and hold no `//`, `.` or `..` segments"
    )]
    BadPrefix {
        /// The route.
        route: Arc<str>,
        /// Its path.
        prefix: Box<str>,
    },
    /// A parameter in a path is none.
    #[error(
        "route `{route}`: `{segment}` is no parameter: write `{{name}}` or `{{*name}}` between two slashes, each name once"
    )]
    BadParameter {
        /// The route.
        route: Arc<str>,
        /// The segment of its path.
        segment: Box<str>,
    },
    /// A parameter for all that follows does not stand at the end, or the route takes nothing that follows.
    #[error(
        "route `{route}`: `{segment}` stands for all that follows: it goes to the end of the path, and not with `exact`"
    )]
    BadCatchAll {
        /// The route.
        route: Arc<str>,
        /// The segment of its path.
        segment: Box<str>,
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
            | Self::TooMany { route, .. }
            | Self::BadPrefix { route, .. }
            | Self::BadParameter { route, .. }
            | Self::BadCatchAll { route, .. }
            | Self::BadHost { route, .. } => route,
        }
    }
}
