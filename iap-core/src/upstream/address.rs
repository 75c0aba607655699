//! Where a server is, read from its text form.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::UpstreamError;

/// A server's address: where to connect, and what to speak there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `host:port` or `unix:/path`, for logs and telemetry.
    pub(super) shown: Arc<str>,
    pub(super) place: Place,
    pub(super) scheme: Scheme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Needs no resolver.
    Ip(SocketAddr),
    /// A name, which may have several addresses, and others tomorrow.
    Name { host: Box<str>, port: u16 },
    /// A socket in the file system.
    Unix(PathBuf),
    /// It has none at the moment.
    Nowhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    H2c,
}

impl Address {
    /// Reads `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]`, `host[:port]` or
    /// `unix:/path`.
    pub(super) fn parse(text: &str) -> Result<Self, UpstreamError> {
        // What stands before an `@` may be a password.
        let shown = || text.rsplit_once('@').map_or(text.to_owned(), |(_, host)| format!("...@{host}"));
        let bad = || UpstreamError::BadAddress(shown());
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
            let place = Place::Unix(path.into());
            return is_path.then(|| Self { shown: text.into(), place, scheme: Scheme::Http }).ok_or_else(bad);
        }
        let (scheme, rest) = match text.split_once("://") {
            None | Some(("http", _)) => (Scheme::Http, text.strip_prefix("http://").unwrap_or(text)),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("h2c", rest)) => (Scheme::H2c, rest),
            Some(_) => return Err(bad()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().map_err(|_| bad())?;
        let host = authority.host();
        if host.is_empty() || rest.contains('@') {
            return Err(bad());
        }
        let port = match rest.strip_prefix(host) {
            Some("") => scheme.default_port(),
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).ok_or_else(bad)?,
            None => return Err(bad()),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let place = match bare.parse::<IpAddr>() {
            Ok(ip) => Place::Ip(SocketAddr::new(ip, port)),
            Err(_) if bare.len() < host.len() => return Err(bad()),
            Err(_) => Place::Name { host: host.into(), port },
        };
        Ok(Self { shown: format!("{host}:{port}").into(), place, scheme })
    }

    /// The host alone: what a certificate must be for. `None` for a socket in the file system.
    pub(super) fn host(&self) -> Option<String> {
        match &self.place {
            Place::Ip(address) => Some(address.ip().to_string()),
            Place::Name { host, .. } => Some(host.to_string()),
            Place::Unix(_) | Place::Nowhere => None,
        }
    }

    /// What goes into `Host` where no client has said it.
    pub(super) fn authority(&self) -> &str {
        if matches!(self.place, Place::Unix(_) | Place::Nowhere) { "localhost" } else { &self.shown }
    }

    /// The scheme of requests, for HTTP/2.
    pub(super) fn uri_scheme(&self) -> http::uri::Scheme {
        match self.scheme {
            Scheme::Https => http::uri::Scheme::HTTPS,
            Scheme::Http | Scheme::H2c => http::uri::Scheme::HTTP,
        }
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        if self == Self::Https { 443 } else { 80 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_checked() {
        let parse = |text: &str| Address::parse(text).map(|address| address.shown.to_string());
        assert_eq!(parse("http://127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(parse("app.internal").unwrap(), "app.internal:80");
        assert_eq!(parse("https://app.internal").unwrap(), "app.internal:443");
        assert_eq!(parse("h2c://app.internal:50051").unwrap(), "app.internal:50051");
        assert_eq!(parse("http://[::1]:81/").unwrap(), "[::1]:81");
        assert_eq!(parse("unix:/run/app.sock").unwrap(), "unix:/run/app.sock");
        assert_eq!(parse("http://u:secret@h"), Err(UpstreamError::BadAddress("...@h".to_owned())));
        for bad in ["", "http://", "http://a/b", "h:99999", "ftp://x", "unix:", "unix:/", "unix:a", "[a]:1"] {
            assert_eq!(parse(bad), Err(UpstreamError::BadAddress(bad.to_owned())), "{bad}");
        }
    }
}
