//! The keys that tokens are checked with.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde_json::Value;

use crate::rules::AuthError;

/// The largest file of keys, in bytes, and the most keys in it.
const MAX_TEXT: usize = 256 * 1024;
const MAX_KEYS: usize = 64;
/// The shortest secret, in bytes: as long as what SHA-256 makes (RFC 7518 section 3.2).
const MIN_SECRET: usize = 32;
/// The shortest modulus of an RSA key, in bytes (RFC 7518 section 3.3).
const MIN_MODULUS: usize = 256;
/// A point of the curve P-256, uncompressed, and a key of Ed25519, in bytes.
const P256_POINT: usize = 65;
const ED25519_KEY: usize = 32;

/// Keys that signatures of tokens are checked with. Each is for one algorithm: RSA for `RS256`, P-256 for
/// `ES256`, Ed25519 for `EdDSA`, a secret for `HS256`.
pub struct JwtKeys(Vec<Key>);

pub(super) struct Key {
    id: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl JwtKeys {
    /// A secret that is shared with the issuer, at least 32 bytes, for `HS256`.
    ///
    /// # Errors
    ///
    /// [`AuthError::Key`] for a shorter one.
    pub fn secret(secret: &[u8]) -> Result<Self, AuthError> {
        if secret.len() < MIN_SECRET {
            return Err(AuthError::Key("a secret for HS256 needs at least 32 bytes"));
        }
        let key = DecodingKey::from_secret(secret);
        Ok(Self(vec![Key { id: None, algorithm: Algorithm::HS256, key }]))
    }

    /// Reads a JSON Web Key Set (RFC 7517), or one public key in PEM. Keys of a set that are for something
    /// else, or of a kind that is not known, are left out.
    ///
    /// # Errors
    ///
    /// [`AuthError::Key`] where no key is left, for keys that are too weak, for two of one id and
    /// algorithm, and for private keys: they have no business here.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        if text.len() > MAX_TEXT {
            return Err(AuthError::Key("larger than 256 KiB: this is no file of keys"));
        }
        let keys = if text.trim_start().starts_with('{') { parse_set(text)? } else { vec![parse_pem(text)?] };
        for (index, key) in keys.iter().enumerate() {
            check_strength(key)?;
            let is_same = |other: &Key| other.id == key.id && other.algorithm == key.algorithm;
            if keys[..index].iter().any(is_same) {
                return Err(AuthError::Key("two keys for one algorithm have the same `kid`, or none"));
            }
        }
        Ok(Self(keys))
    }

    /// Leaves shared secrets out: what an issuer publishes is for checking, and a secret that is published is none.
    ///
    /// # Errors
    ///
    /// [`AuthError::Key`] where no key is left.
    pub fn public(mut self) -> Result<Self, AuthError> {
        self.0.retain(|key| key.algorithm != Algorithm::HS256);
        if self.0.is_empty() {
            return Err(AuthError::Key("no key in it is for RS256, ES256 or EdDSA"));
        }
        Ok(self)
    }

    /// The one key that a token can mean; no more than one signature is checked for a request.
    pub(super) fn meant_by(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        match id {
            // A key without an id, such as one in PEM, stands for any.
            Some(id) => fitting.find(|key| key.id.as_deref().is_none_or(|own| own == id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, key.algorithm))).finish()
    }
}

fn parse_set(text: &str) -> Result<Vec<Key>, AuthError> {
    // The parser's own error would quote the text, and with it a secret.
    let set: Value = serde_json::from_str(text).map_err(|_| AuthError::Key("not JSON, nor PEM"))?;
    let list = set.get("keys").and_then(Value::as_array);
    let list = list.ok_or(AuthError::Key("a key set is `{\"keys\": [..]}`"))?;
    if list.len() > MAX_KEYS {
        return Err(AuthError::Key("more than 64 keys"));
    }
    if list.iter().any(|key| key.get("d").is_some()) {
        return Err(AuthError::Key("it holds a private key: only public ones are needed"));
    }
    let keys: Vec<Key> = list.iter().filter_map(|key| read_jwk(key.clone())).collect();
    let none = "no key in it is for RS256, ES256, EdDSA or HS256";
    if keys.is_empty() { Err(AuthError::Key(none)) } else { Ok(keys) }
}

/// A key of a set; `None` for one that signatures are not checked with here (RFC 7517 section 5).
fn read_jwk(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        _ => return None,
    };
    let common = &jwk.common;
    let is_for_it = common.key_algorithm.is_none_or(|own| own == algorithm.into())
        && common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_it)?;
    Some(Key { id: jwk.common.key_id.map(Into::into), algorithm, key })
}

fn parse_pem(text: &str) -> Result<Key, AuthError> {
    if text.contains("PRIVATE KEY") {
        return Err(AuthError::Key("it holds a private key: only the public one is needed"));
    }
    let pem = text.as_bytes();
    let rsa = || DecodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
    let ec = |_| DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key));
    let ed = |_| DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key));
    let (algorithm, key) = rsa()
        .or_else(ec)
        .or_else(ed)
        .map_err(|_| AuthError::Key("neither a JSON key set nor a public key in PEM"))?;
    Ok(Key { id: None, algorithm, key })
}

fn check_strength(key: &Key) -> Result<(), AuthError> {
    let is_strong = match (key.key.kind(), key.algorithm) {
        (DecodingKeyKind::RsaModulusExponent { n, .. }, _) => {
            n.len() - n.iter().take_while(|byte| **byte == 0).count() >= MIN_MODULUS
        }
        (DecodingKeyKind::SecretOrDer(bytes), Algorithm::RS256) => bytes.len() >= MIN_MODULUS,
        (DecodingKeyKind::SecretOrDer(bytes), Algorithm::ES256) => bytes.len() == P256_POINT,
        (DecodingKeyKind::SecretOrDer(bytes), Algorithm::EdDSA) => bytes.len() == ED25519_KEY,
        (DecodingKeyKind::SecretOrDer(bytes), _) => bytes.len() >= MIN_SECRET,
    };
    let text =
        "a key is too short: RSA needs 2048 bits, a secret 32 bytes; of curves P-256 and Ed25519 are known";
    if is_strong { Ok(()) } else { Err(AuthError::Key(text)) }
}
