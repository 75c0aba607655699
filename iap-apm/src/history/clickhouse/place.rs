//! The address of a server.

use http::Uri;

/// Where a ClickHouse is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) scheme: &'static str,
    /// With the port.
    pub(super) authority: String,
    pub(super) path: String,
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "the address is no URL")?;
        let (scheme, usual) = match uri.scheme_str() {
            Some("http") => ("http", 8123),
            Some("https") => ("https", 8443),
            _ => return Err("the address must begin with http:// or https://"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the address has no host")?;
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("the address has a query or a user: set user, password and database");
        }
        let port = uri.port_u16().unwrap_or(usual);
        Ok(Self { scheme, authority: format!("{host}:{port}"), path: uri.path().to_owned() })
    }
}

/// Whether an address can be used, without asking it anything.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    Place::parse(url).map(|_| ())
}
