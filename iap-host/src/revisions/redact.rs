//! Takes secrets out of what is shown, and puts them back into what comes back.
//!
//! A configuration has references to secrets, but somebody may have written one into an environment variable or a URL. In
//! its place stands `redacted-` and a digest, by a key that nobody has and that ends with the process: a diff shows that a secret
//! has changed without showing it, and a text that was edited with the digest in it means the same secret.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use iap_ops::masking::{Class, Masker};
use serde_json::Value;

const MARK: &str = "redacted-";
/// Hexadecimal digits after it.
const DIGITS: usize = 12;

static SECRETS: LazyLock<Masker> = LazyLock::new(|| {
    let others: Vec<Class> = Class::ALL.into_iter().filter(|class| *class != Class::Secret).collect();
    Masker::without(&others)
});

/// A text without secrets.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in SECRETS.find(text) {
        out.push_str(&text[at..found.range.start]);
        out.push_str(&mark(&text[found.range.clone()]));
        at = found.range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A document whose texts are without secrets; a key says what its value is.
pub(crate) fn redact_json(value: Value) -> Value {
    SECRETS.mask_json(value).into_value()
}

/// Where a mark stands that means nothing here, or whose secret would be seen there: line and column, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadMark(pub(crate) u64, pub(crate) u64);

/// A message without the secrets of `source`: what somebody sent may have put one where an error quotes it.
pub(crate) fn conceal(message: &str, source: &str) -> String {
    SECRETS.find(source).into_iter().map(|found| &source[found.range]).fold(
        message.to_owned(),
        |told, secret| {
            if told.contains(secret) { told.replace(secret, &mark(secret)) } else { told }
        },
    )
}

/// A text with the secrets of `source` in the place of their marks. Nobody gets to see one by putting its mark elsewhere: what is
/// restored has to be taken out again when it is shown.
pub(crate) fn restore(text: &str, source: &str) -> Result<String, BadMark> {
    if !text.contains(MARK) {
        return Ok(text.to_owned());
    }
    let secrets: BTreeMap<String, &str> =
        SECRETS.find(source).into_iter().map(|found| &source[found.range]).map(|s| (mark(s), s)).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find(MARK) {
        let begin = at + found;
        let end = begin + MARK.len() + DIGITS;
        let is_mark = text
            .get(begin + MARK.len()..end)
            .is_some_and(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        // It may be anybody's word.
        let end = if is_mark { end } else { begin + MARK.len() };
        out.push_str(&text[at..begin]);
        match secrets.get(&text[begin..end]) {
            Some(secret) => out.push_str(secret),
            None if is_mark => return Err(place(text, begin)),
            None => out.push_str(&text[begin..end]),
        }
        at = end;
    }
    out.push_str(&text[at..]);
    let shown = redact(&out);
    let count = |text: &str, mark: &str| text.matches(mark).count();
    match secrets.keys().find(|mark| count(&shown, mark) < count(text, mark)) {
        Some(mark) => Err(place(text, text.rfind(mark.as_str()).unwrap_or_default())),
        None => Ok(out),
    }
}

fn place(text: &str, at: usize) -> BadMark {
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    BadMark(before.matches('\n').count() as u64 + 1, line.chars().count() as u64 + 1)
}

fn mark(secret: &str) -> String {
    // Without randomness nothing tells secrets apart; none is shown all the same.
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    match key {
        Some(key) => format!("{MARK}{}", &blake3::keyed_hash(key, secret.as_bytes()).to_hex()[..DIGITS]),
        None => MARK.trim_end_matches('-').to_owned(),
    }
}
