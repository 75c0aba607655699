//! Cookies, as far as the gateway itself reads and sets them (RFC 6265).

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};

/// The names and values of a request's cookies, as they came.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let fields = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// The value of the first cookie of that name, without quotes.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookies(headers).find(|(found, _)| *found == name).map(|(_, value)| value.trim_matches('"'))
}

/// A cookie of ours that leads a client to where it was before, for its browser's session. `None` where
/// name or value can be in no cookie.
pub(crate) fn binding_cookie(name: &str, value: &str, is_tls: bool) -> Option<HeaderValue> {
    let secure = if is_tls { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}")).ok()
}
