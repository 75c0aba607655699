//! The canonical form of a path.

use crate::error::{Error, Kind, Origin};

/// Brings a path into its canonical form (RFC 3986 section 6.2.2): encoded unreserved characters
/// are decoded, other escapes get upper-case digits, empty and dot segments are resolved.
/// `None` means that the path is canonical already, which costs one scan and no allocation.
///
/// Refused, since servers disagree on what they mean: encoded `/`, `\` and NUL, a raw `\`,
/// control characters, broken escapes, and dot segments that climb above the root.
pub fn canonical_path(path: &str) -> Result<Option<String>, Error> {
    if is_canonical(path.as_bytes()) {
        return Ok(None);
    }
    let decoded = decode_unreserved(path)?;
    resolve_segments(&decoded).map(Some)
}

fn refuse(message: &'static str) -> Error {
    Error::new(Kind::BadRequest, Origin::Client, message).reason("path")
}

fn is_canonical(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        match byte {
            b'%' | b'\\' | 0..=0x20 | 0x7f..=0xff => return false,
            b'/' | b'.' if previous == b'/' => return false,
            _ => previous = byte,
        }
    }
    true
}

fn decode_unreserved(path: &str) -> Result<String, Error> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' | 0..=0x20 | 0x7f => return Err(refuse("the path holds a forbidden character")),
            b'%' => {
                let digits =
                    path.get(index + 1..index + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let byte = digits
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .ok_or_else(|| refuse("the path holds a broken percent-escape"))?;
                match byte {
                    b'/' | b'\\' | 0 => return Err(refuse("the path holds an encoded slash or NUL")),
                    b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                        out.push(b.into())
                    }
                    b => out.push_str(&format!("%{b:02X}")),
                }
                index += 3;
            }
            byte if byte.is_ascii() => {
                out.push(byte.into());
                index += 1;
            }
            byte => {
                // Raw non-ASCII is not a valid URI character; it goes on in its encoded form.
                out.push_str(&format!("%{byte:02X}"));
                index += 1;
            }
        }
    }
    Ok(out)
}

fn resolve_segments(path: &str) -> Result<String, Error> {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_directory = false;
    for segment in path.split('/').skip(1) {
        // A path parameter must not hide a dot segment: Tomcat reads `/..;x/` as `/../`.
        let name = segment.split(';').next().unwrap_or_default();
        is_directory = matches!(name, "" | "." | "..");
        match name {
            ".." => {
                kept.pop().ok_or_else(|| refuse("the path climbs above the root"))?;
            }
            "." => {}
            "" if segment.is_empty() => {}
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if is_directory || kept.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Encodes all bytes but unreserved characters (RFC 3986 section 2.3), so that the result can be any part
/// of a URI.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(b.into()),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Decodes all percent-escapes of a path or a part of one (RFC 3986 section 2.1). `None` for a broken
/// escape, and where the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = after;
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
