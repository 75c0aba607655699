//! Passwords, tokens and keys, by what they are called.

use super::{Class, Hit, Seen};

/// Characters of a secret.
const MAX_SECRET: usize = 4_096;
/// Spaces between a key and its value.
const MAX_GAP: usize = 4;
/// Shorter ones are words.
const MIN_SECRET: usize = 4;
/// Keys whose values are secrets, by their words without `_`.
const KEYS: [&str; 14] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "clientsecret",
    "apikey",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "privatekey",
    "secretkey",
    "비밀번호",
    "패스워드",
];
/// The same where the value looks like a token: at other times these are ordinary words.
const LONG: [&str; 4] = ["token", "sessionid", "authorization", "cookie"];
/// Schemes of the field `Authorization`.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// A secret that begins at a character: `password=…`, `"password": "…"`, `Bearer …`, `redis://user:…@host`.
pub(super) fn at(seen: Seen<'_>, at: usize) -> Option<Hit> {
    let chars = seen.chars;
    let begins = match at.checked_sub(1).map(|before| chars[before]) {
        None => seen.key.is_some(),
        Some('=' | '"' | '\'' | ':') => true,
        Some(' ') => after_scheme(chars, at - 1) || after_gap(chars, at - 1),
        Some(_) => false,
    };
    if !begins || matches!(chars[at], ' ' | '"' | '\'' | '[' | '{' | '=' | ':') {
        return None;
    }
    // What it is called comes first: the value may be long.
    let key = seen.key_before(at).replace('_', "");
    let scheme = at > 0 && chars[at - 1] == ' ' && after_scheme(chars, at - 1);
    let long = LONG.iter().any(|known| key.ends_with(known)) && is_token(chars, at);
    if scheme || long || KEYS.iter().any(|known| key.ends_with(known)) {
        let end = end(seen, at);
        return (end - at >= MIN_SECRET).then_some((Class::Secret, at..end));
    }
    in_address(chars, at).map(|end| (Class::Secret, at..end))
}

/// Where a value ends that begins here.
fn end(seen: Seen<'_>, at: usize) -> usize {
    let chars = seen.chars;
    let limit = (at + MAX_SECRET).min(chars.len());
    let quote = at.checked_sub(1).map(|before| chars[before]).filter(|c| matches!(c, '"' | '\''));
    let whole = at == 0 && seen.key.is_some();
    let stops = |c: char| match quote {
        Some(quote) => c == quote,
        None if whole => c == '\n',
        None => c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'' | ')' | '}' | ']' | '<'),
    };
    at + chars[at..limit].iter().take_while(|c| !stops(**c)).count()
}

/// Whether the space before a value belongs to its key: `password: x`, `password = x`.
fn after_gap(chars: &[char], space: usize) -> bool {
    let before = chars[..space].iter().rev().take(MAX_GAP).find(|c| **c != ' ');
    matches!(before, Some('=' | ':'))
}

fn after_scheme(chars: &[char], space: usize) -> bool {
    SCHEMES.iter().any(|scheme| {
        let length = scheme.len();
        let word = |from: usize| chars[from..space].iter().map(char::to_ascii_lowercase).eq(scheme.chars());
        let free = |from: usize| from == 0 || !chars[from - 1].is_alphanumeric();
        space.checked_sub(length).is_some_and(|from| word(from) && free(from)) && is_token(chars, space + 1)
    })
}

/// Whether a token stands here and no word of a sentence: 16 characters or more.
fn is_token(chars: &[char], at: usize) -> bool {
    let token = |c: &&char| c.is_ascii_alphanumeric() || "-._~+/=".contains(**c);
    chars[at..].iter().take(16).take_while(token).count() == 16
}

/// Where the password of an address ends that begins here: `://user:PASSWORD@`.
fn in_address(chars: &[char], at: usize) -> Option<usize> {
    const MAX: usize = 64;
    if at == 0 || chars[at - 1] != ':' {
        return None;
    }
    let plain = |c: &&char| !c.is_whitespace() && !matches!(c, '/' | '@' | '"' | '?' | '#');
    let password = chars[at..].iter().take(MAX).take_while(plain).count();
    let user = chars[..at - 1].iter().rev().take(MAX).take_while(|c| plain(c) && **c != ':').count();
    let before = at - 1 - user;
    let scheme = before >= 3 && chars[before - 3..before] == [':', '/', '/'];
    (scheme && password > 0 && chars.get(at + password) == Some(&'@')).then_some(at + password)
}
