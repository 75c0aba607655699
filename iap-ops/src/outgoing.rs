//! Requests of our own to places that the configuration names.

use http::{HeaderValue, Uri};
use iap_core::Error;

/// What is called by us, so that receivers can tell.
pub const AGENT: &str = concat!("iap/", env!("CARGO_PKG_VERSION"));

/// Where requests go. No error quotes the URL: it may be all that somebody needs to write there.
#[derive(Debug, Clone)]
pub struct Place {
    /// Scheme and authority, as an upstream takes it.
    pub server: String,
    /// The `Host` of requests.
    pub host: HeaderValue,
    /// The path, with its query.
    pub path: String,
}

impl Place {
    /// Takes an `http://` or `https://` URL apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words for the end of a sentence about the setting.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "it is no URL")?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme,
            _ => return Err("it must begin with http:// or https://"),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.is_empty() || authority.contains('@') {
            return Err("it needs a host, and has no user in it");
        }
        Ok(Self {
            server: format!("{scheme}://{authority}"),
            host: HeaderValue::try_from(authority).map_err(|_| "its host cannot be used")?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

/// An error with its cause, for the log.
#[must_use]
pub fn chain(error: &Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
