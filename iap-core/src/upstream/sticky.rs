//! Keeping a client with one server.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{Request, Response};

use super::server::Server;
use crate::body::Body;
use crate::cookies::{binding_cookie, cookie};

/// How a client is bound to a server. When that one is not there the balance decides, and the
/// client is bound to the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// By a cookie of ours. Its value is the server's name, or a number that stands for its
    /// address: it says nothing about a client.
    Cookie {
        /// The cookie's name.
        name: Box<str>,
    },
    /// By what an application server appends to its session ids after a dot, in a cookie
    /// (`JSESSIONID=id.route`) or in the path (`;jsessionid=id.route`). It has to be the name of a
    /// server. The application sets the cookie, we only read it.
    Route {
        /// The cookie's name; in lower case, it is that of the path parameter.
        cookie: Box<str>,
    },
}

impl Sticky {
    /// The server that the request's client is bound to.
    pub(super) fn find(&self, request: &Request<Body>, servers: &[Arc<Server>]) -> Option<usize> {
        match self {
            Self::Cookie { name } => {
                let value = cookie(request.headers(), name)?;
                servers.iter().position(|server| token(server) == value)
            }
            Self::Route { cookie: name } => {
                let session = cookie(request.headers(), name);
                let route = |id: &str| {
                    let (_, route) = id.rsplit_once('.')?;
                    servers.iter().position(|server| server.name.as_deref() == Some(route))
                };
                session.and_then(route).or_else(|| path_parameter(request.uri().path(), name).and_then(route))
            }
        }
    }

    /// Binds the client to `server`, if it is not yet.
    pub(super) fn bind(&self, response: &mut Response<Body>, server: &Server, is_tls: bool) {
        let Self::Cookie { name } = self else { return };
        if let Some(cookie) = binding_cookie(name, &token(server), is_tls) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

/// What stands for a server in a cookie.
fn token(server: &Server) -> Cow<'_, str> {
    match &server.name {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("{:016x}", server.id)),
    }
}

/// The value of a parameter in a path's last segment that has it (RFC 3986 section 3.3).
fn path_parameter<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let parameters = path.rsplit('/').flat_map(|segment| segment.split(';').skip(1));
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameters_are_found() {
        let find = |path| path_parameter(path, "JSESSIONID");
        assert_eq!(find("/app/a;jsessionid=1.r1"), Some("1.r1"));
        assert_eq!(find("/app;v=1;jsessionid=1.r1/x"), Some("1.r1"));
        assert_eq!(find("/jsessionid=1.r1"), None);
        assert_eq!(find("/"), None);
    }
}
