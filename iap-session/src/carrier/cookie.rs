//! The session cookie on the wire (RFC 6265). What clients send is not trusted to be well formed.

use http::header::{COOKIE, HeaderMap, HeaderValue};
use iap_core::Connection;

use crate::policy::{CookieConfig, SameSite, SecureCookie};

use super::token::{Presented, Tokens};

/// How many cookies of our name are tried: a stale one of a wider path or domain may come along.
const MAX_CANDIDATES: usize = 4;

/// The cookie of one request: which of the two names, and whether it is `Secure`.
#[derive(Clone, Copy)]
pub(crate) struct CookieSpec<'a> {
    config: &'a CookieConfig,
    secure: bool,
}

impl CookieConfig {
    pub(crate) fn spec(&self, connection: Option<&Connection>) -> CookieSpec<'_> {
        let secure = match self.secure {
            SecureCookie::Always => true,
            SecureCookie::Never => false,
            SecureCookie::Auto => connection.is_some_and(Connection::is_tls),
        };
        CookieSpec { config: self, secure }
    }

    /// Takes our cookies out of the request and leaves all others as they are.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        let ours = |pair: &[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            name == self.secure_name.as_bytes() || name == self.plain_name.as_bytes()
        };
        let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
        if !lines.iter().any(|line| line.as_bytes().split(|byte| *byte == b';').any(ours)) {
            return;
        }
        headers.remove(COOKIE);
        for line in lines {
            let pairs = line.as_bytes().split(|byte| *byte == b';').filter(|pair| !ours(pair));
            let kept = pairs.map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b"; "[..]);
            if let Some(value) = HeaderValue::from_bytes(&kept).ok().filter(|value| !value.is_empty()) {
                headers.append(COOKIE, value);
            }
        }
    }
}

impl CookieSpec<'_> {
    fn name(&self) -> &str {
        if self.secure { &self.config.secure_name } else { &self.config.plain_name }
    }

    /// The ids in the request that have the right form, in the order they came, each once.
    pub(crate) fn presented(&self, headers: &HeaderMap, tokens: Tokens<'_>) -> Vec<Presented> {
        let mut found: Vec<Presented> = Vec::new();
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        for pair in lines.flat_map(|line| line.split(';')) {
            let Some((name, value)) = pair.split_once('=') else { continue };
            if name.trim() != self.name() {
                continue;
            }
            let Some(presented) = tokens.decode(value.trim()) else { continue };
            if found.iter().all(|other| other.id != presented.id) {
                found.push(presented);
                if found.len() == MAX_CANDIDATES {
                    break;
                }
            }
        }
        found
    }

    /// The `Set-Cookie` value that gives the browser a token.
    pub(crate) fn set(&self, token: &str) -> HeaderValue {
        self.line(token, "")
    }

    /// The `Set-Cookie` value that takes the cookie away.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.line("", "; Max-Age=0")
    }

    fn line(&self, value: &str, age: &str) -> HeaderValue {
        let same_site = match self.config.same_site {
            SameSite::Strict => "Strict",
            SameSite::None if self.secure => "None",
            SameSite::Lax | SameSite::None => "Lax",
        };
        let secure = match (self.secure, self.config.partitioned) {
            (false, _) => "",
            (true, false) => "; Secure",
            (true, true) => "; Secure; Partitioned",
        };
        let (domain_is, domain) = match &self.config.domain {
            Some(domain) => ("; Domain=", domain.as_str()),
            None => ("", ""),
        };
        let name = self.name();
        let line =
            format!("{name}={value}{domain_is}{domain}; Path=/; HttpOnly; SameSite={same_site}{secure}{age}");
        let mut line = HeaderValue::try_from(line).expect("names and domains are checked by the layer");
        line.set_sensitive(true);
        line
    }
}

/// Whether a cookie may have this name: a token of RFC 9110.
pub(crate) fn is_cookie_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

#[cfg(test)]
mod tests;
