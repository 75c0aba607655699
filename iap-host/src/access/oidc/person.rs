//! Who somebody is, and what they may, by the claims of an ID token whose signature, issuer, audience and expiry are right.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Failure, Settings};
use crate::config::Role;

/// How far the provider's clock may be off.
const LEEWAY_MS: u64 = 60_000;
/// The longest name, in characters, and the longest subject, in bytes (OpenID Connect Core 1.0 section 2).
const LONGEST_NAME: usize = 64;
const LONGEST_SUBJECT: usize = 255;

/// What a provider has said of somebody when they signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SignInPerson")]
pub(crate) struct Person {
    pub(crate) issuer: String,
    /// What the provider knows them by, for ever.
    pub(crate) subject: String,
    /// The values of the claim of the roles that stood for a role then.
    pub(crate) values: Vec<String>,
}

/// What is known of the sign-in that an ID token must be for.
pub(super) struct Begun<'a> {
    pub(super) nonce: &'a str,
    pub(super) began_ms: u64,
    pub(super) now_ms: u64,
}

impl Person {
    /// Whether the same provider knows somebody else by it.
    pub(in crate::access) fn is_another(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject != other.subject
    }

    /// The role by the settings of this moment; none by those of another provider.
    pub(super) fn role(&self, settings: &Settings) -> Option<Role> {
        let roles = self.values.iter().filter_map(|value| settings.roles.get(value));
        roles.max().copied().filter(|_| self.issuer == settings.issuer)
    }
}

/// What is left of the checks of OpenID Connect Core 1.0 section 3.1.3.7: for whom alone, when, and for which sign-in.
pub(super) fn check(
    claims: &Map<String, Value>,
    client_id: &str,
    begun: &Begun<'_>,
) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_for_others = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    match claims.get("azp") {
        Some(party) if party.as_str() != Some(client_id) => return Err("its `azp` is somebody else"),
        None if is_for_others => {
            return Err("it is for several, and no `azp` says that it was asked for by us");
        }
        _ => {}
    }
    let issued_ms =
        claims.get("iat").and_then(Value::as_f64).map(|seconds| (seconds.max(0.0) * 1_000.0) as u64);
    let issued_ms = issued_ms.ok_or("it does not say when it was issued (`iat`)")?;
    // Whole seconds, of another clock.
    let earliest = begun.began_ms.saturating_sub(LEEWAY_MS);
    if issued_ms < earliest || issued_ms > begun.now_ms.saturating_add(LEEWAY_MS) {
        return Err("its `iat` is not between the beginning of the sign-in and now");
    }
    match text("nonce") {
        Some(nonce) if nonce == begun.nonce => Ok(()),
        _ => Err("its `nonce` is of another sign-in"),
    }
}

/// The name, and what is kept of the claims.
pub(super) fn read(claims: &Map<String, Value>, settings: &Settings) -> Result<(String, Person), Failure> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if !(1..=LONGEST_SUBJECT).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(Failure::Refused);
    }
    let name = found(claims, &settings.name_claim).and_then(Value::as_str).map_or("", str::trim);
    if !is_name(name) {
        return Err(Failure::NoName);
    }
    let roles = found(claims, &settings.roles_claim);
    let values = match roles {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(value)) => vec![value.as_str()],
        _ => Vec::new(),
    };
    let mut values: Vec<String> =
        values.into_iter().filter(|value| settings.roles.contains_key(*value)).map(str::to_owned).collect();
    values.sort();
    values.dedup();
    let person = Person { issuer: settings.issuer.clone(), subject: subject.to_owned(), values };
    Ok((name.to_owned(), person))
}

/// A claim by its name, or by the way to it: names may have dots in them, such as URLs.
fn found<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    found(claims.get(first)?.as_object()?, rest)
}

/// It stands in tables and records: letters, digits, blanks between them and what ASCII has.
fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ')
}

#[cfg(test)]
mod tests;
