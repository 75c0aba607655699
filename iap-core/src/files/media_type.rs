//! Media types by the ends of names.

use http::HeaderValue;

/// The type of a file; text is UTF-8. What is not known is bytes, which browsers save and do not run.
pub(super) fn of(name: &str) -> HeaderValue {
    let Some(guess) = mime_guess::from_path(name).first_raw() else {
        return HeaderValue::from_static("application/octet-stream");
    };
    // One name for scripts (RFC 9239).
    let guess = if guess.ends_with("/javascript") { "text/javascript" } else { guess };
    if guess.starts_with("text/") {
        let text = HeaderValue::from_str(&format!("{guess}; charset=utf-8"));
        return text.unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    HeaderValue::from_static(guess)
}
