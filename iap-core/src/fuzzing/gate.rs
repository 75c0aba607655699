//! The gate: whatever it lets through has one meaning only.

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Uri};

use crate::gate::{admit, canonical_path, match_host, percent_decode, percent_encode};

/// The first line is a method and a target, each further one a field; then a path of any characters.
pub fn gate(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        path(text);
    }
    let Some(mut request) = request(data) else { return };
    let (authority, announced) = (request.uri().authority().cloned(), length(request.headers()));
    if admit(&mut request, MAX_BODY).is_err() {
        return;
    }
    assert!(request.uri().scheme().is_none() && request.uri().authority().is_none(), "origin form");
    assert_canonical(request.uri().path());
    let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
    let [host] = hosts[..] else { panic!("{} hosts", hosts.len()) };
    if let Some(authority) = authority {
        assert_eq!(host.as_bytes(), authority.as_str().as_bytes(), "the authority wins");
    }
    let name = match_host(&request).into_owned();
    assert!(!name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
    assert!(name.starts_with('[') || !name.contains([':', '@', '/']), "{name}");
    assert!(request.headers().get_all(CONTENT_LENGTH).iter().count() <= 1);
    assert!(length(request.headers()).is_none_or(|length| length <= MAX_BODY));
    assert_eq!(length(request.headers()), announced, "the framing stays");
    if let Some(coding) = request.headers().get(TRANSFER_ENCODING) {
        assert!(coding.as_bytes().eq_ignore_ascii_case(b"chunked") && announced.is_none());
    }
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    assert!(admit(&mut request, MAX_BODY).is_ok(), "what was let through is let through again");
    assert_eq!((request.uri(), request.headers()), (&uri, &headers), "and is as it was");
}

const MAX_BODY: u64 = 1 << 20;

fn request(data: &[u8]) -> Option<Request<()>> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(first.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(first.next()?).ok()?;
    for line in lines.take(MAX_FIELDS) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next()?).ok()?;
        let value = HeaderValue::from_bytes(parts.next()?.trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

const MAX_FIELDS: usize = 100;

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn path(text: &str) {
    assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
    if !text.starts_with('/') {
        return;
    }
    let Ok(canonical) = canonical_path(text) else { return };
    let path = canonical.as_deref().unwrap_or(text);
    assert_canonical(path);
    assert_eq!(canonical_path(path).unwrap().as_deref().unwrap_or(path), path, "canonical once is canonical");
}

/// No segment that any server could take for a step up, none that is empty, no escape that hides one.
fn assert_canonical(path: &str) {
    assert!(path.starts_with('/'), "{path}");
    let segments: Vec<_> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(!matches!(name, "." | ".."), "{path}");
        assert!(!segment.is_empty() || index + 1 == segments.len(), "{path}");
        let hides = percent_decode(segment).is_some_and(|plain| plain.contains(['/', '\\', '\0']));
        assert!(!hides, "{path}");
    }
    for (at, byte) in path.bytes().enumerate() {
        assert!(byte.is_ascii_graphic() && byte != b'\\', "{path}");
        if byte == b'%' {
            let digits = path.get(at + 1..at + 3).expect("an escape is whole");
            assert!(!digits.bytes().any(|digit| digit.is_ascii_lowercase()), "{path}");
            let byte = u8::from_str_radix(digits, 16).expect("an escape is a number");
            assert!(!byte.is_ascii_alphanumeric() && !b"-._~/\\\0".contains(&byte), "{path}");
        }
    }
}
