use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::rules::AuthError;

/// An RSA key's public half, and a token by it that is good until the year 2100.
const RSA_PEM: &str = include_str!("testdata/rsa.pem");
const RSA_WEAK_PEM: &str = include_str!("testdata/rsa-1024.pem");
const P256_PEM: &str = include_str!("testdata/p256.pem");
const P384_PEM: &str = include_str!("testdata/p384.pem");
const RSA_MODULUS: &str = include_str!("testdata/rsa.modulus");
const RSA_TOKEN: &str = include_str!("testdata/rsa.token");

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const FAR: u64 = 4_102_444_800;

fn part(value: &Value) -> String {
    BASE64.encode(value.to_string())
}

/// A token with this signature over its first two parts.
fn token(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", part(head), part(claims));
    let signature = BASE64.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn hs256(message: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    ring::hmac::sign(&key, message).as_ref().to_vec()
}

fn by_secret(claims: &Value) -> String {
    token(&json!({"alg": "HS256"}), claims, hs256)
}

fn shared() -> Jwt {
    Jwt::new(JwtKeys::secret(SECRET).unwrap())
}

fn user(jwt: &Jwt, token: &str) -> Option<String> {
    jwt.check(&format!("Bearer {token}")).map(|user| user.to_string())
}

fn set(keys: &[Value]) -> Result<JwtKeys, AuthError> {
    JwtKeys::parse(&json!({ "keys": keys }).to_string())
}

fn rsa_jwk(id: &str) -> Value {
    json!({"kty": "RSA", "kid": id, "use": "sig", "n": RSA_MODULUS.trim(), "e": "AQAB"})
}

#[test]
fn claims_decide_who_comes_in() {
    let now = jsonwebtoken::get_current_timestamp();
    let strict = || shared().audience(["shop"]).issuer(["https://id.example"]);
    let good =
        json!({"sub": "kim", "exp": FAR, "nbf": now, "aud": ["x", "shop"], "iss": "https://id.example"});
    assert_eq!(user(&strict(), &by_secret(&good)).as_deref(), Some("kim"));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    for claims in [
        without("exp"),
        without("aud"),
        without("iss"),
        without("sub"),
        with("exp", json!(now - 61)),
        with("exp", json!("4102444800")),
        with("exp", json!(-1)),
        with("exp", Value::Null),
        with("nbf", json!(now + 120)),
        with("nbf", json!("0")),
        with("aud", json!("shopping")),
        with("aud", json!([])),
        with("aud", json!({"shop": 1})),
        with("iss", json!("https://id.example/")),
        with("sub", json!(7)),
        with("sub", json!("")),
        with("sub", json!("a\nb")),
        with("sub", json!("x".repeat(257))),
        json!([]),
        json!("kim"),
    ] {
        assert_eq!(user(&strict(), &by_secret(&claims)), None, "{claims}");
    }
    let late = with("exp", json!(now - 30));
    assert!(user(&strict(), &by_secret(&late)).is_some(), "clocks may differ");
    assert_eq!(user(&strict().leeway(Duration::ZERO), &by_secret(&late)), None);
    assert_eq!(
        user(&shared(), &by_secret(&good)),
        None,
        "for somebody else, and nobody has said that it is us"
    );
    assert!(user(&shared(), &by_secret(&without("aud"))).is_some());
    let mail = with("email", json!("kim@shop.example"));
    assert_eq!(user(&strict().user_claim("email"), &by_secret(&mail)).as_deref(), Some("kim@shop.example"));
}

#[test]
fn signatures_of_each_kind_are_checked_and_the_key_decides_on_the_algorithm() {
    let random = SystemRandom::new();
    let ec_key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec_key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec_key.as_ref(), &random).unwrap();
    let ed_key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed_key = Ed25519KeyPair::from_pkcs8(ed_key.as_ref()).unwrap();
    let point = ec_key.public_key().as_ref();
    let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
    let keys = [
        rsa_jwk("rsa-1"),
        json!({"kty": "EC", "kid": "ec", "crv": "P-256", "x": x, "y": y}),
        json!({"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": BASE64.encode(ed_key.public_key())}),
        json!({"kty": "oct", "kid": "mac", "k": BASE64.encode(SECRET)}),
        json!({"kty": "EC", "kid": "p384", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "RSA", "kid": "enc", "use": "enc", "n": RSA_MODULUS.trim(), "e": "AQAB"}),
        json!({"kty": "something", "kid": "new"}),
    ];
    let jwt = Jwt::new(set(&keys).unwrap());
    let claims = json!({"sub": "kim", "exp": FAR});
    let ec = |message: &[u8]| ec_key.sign(&random, message).unwrap().as_ref().to_vec();
    let ed = |message: &[u8]| ed_key.sign(message).as_ref().to_vec();
    let head = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id});
    for good in [
        RSA_TOKEN.trim().to_owned(),
        token(&head("ES256", "ec"), &claims, ec),
        token(&head("EdDSA", "ed"), &claims, ed),
        token(&head("HS256", "mac"), &claims, hs256),
        token(&json!({"alg": "ES256"}), &claims, ec),
    ] {
        assert_eq!(user(&jwt, &good).as_deref(), Some("kim"), "{good}");
        for (index, other) in [(0, "A"), (good.find('.').unwrap() + 1, "f"), (good.len() - 9, "-")] {
            let mut forged = good.clone();
            forged.replace_range(index..=index, other);
            assert!(forged == good || user(&jwt, &forged).is_none(), "{forged}");
        }
        assert_eq!(user(&jwt, &good[..good.len() - 4]), None);
    }
    for bad in [
        token(&head("ES256", "ed"), &claims, ec),
        token(&head("ES256", "none"), &claims, ec),
        token(&head("EdDSA", "ec"), &claims, ed),
        token(&head("HS384", "mac"), &claims, hs256),
        token(&head("none", "mac"), &claims, |_| Vec::new()),
        token(&head("HS256", "mac"), &claims, |_| Vec::new()),
        // The public key in the place of a secret.
        token(&head("HS256", "rsa-1"), &claims, |message| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_PEM.as_bytes());
            ring::hmac::sign(&key, message).as_ref().to_vec()
        }),
        token(&json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]}), &claims, ec),
        String::new(),
        "..".to_owned(),
        format!("{}.", RSA_TOKEN.trim()),
        "x".repeat(LONGEST + 1),
    ] {
        assert_eq!(user(&jwt, &bad), None, "{bad}");
    }
}

#[test]
fn why_a_token_is_not_taken_is_told() {
    let jwt = shared().audience(["shop"]).issuer(["https://id.example"]);
    let good =
        json!({"sub": "kim", "exp": FAR, "aud": "shop", "iss": "https://id.example", "groups": ["ops"]});
    let told = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        jwt.claims(&by_secret(&claims)).map(|claims| claims["groups"].clone())
    };
    assert_eq!(told("sub", json!("lee")), Ok(json!(["ops"])));
    assert_eq!(told("aud", json!("x")), Err(JwtError::Audience));
    assert_eq!(told("iss", json!("x")), Err(JwtError::Issuer));
    assert_eq!(told("exp", json!(1)), Err(JwtError::Time));
    assert_eq!(told("exp", Value::Null), Err(JwtError::Claims));
    let forged = token(&json!({"alg": "HS256"}), &good, |_| vec![0; 32]);
    assert_eq!(jwt.claims(&forged), Err(JwtError::Signature));
    let other = token(&json!({"alg": "RS256", "kid": "new"}), &good, |_| vec![0; 256]);
    assert_eq!(jwt.claims(&other), Err(JwtError::UnknownKey));
    for bad in ["", "a.b.c", &"x".repeat(LONGEST + 1)] {
        assert_eq!(jwt.claims(bad), Err(JwtError::Malformed), "{bad}");
    }
}

#[test]
fn a_secret_that_is_published_is_no_key() {
    let secret = json!({"kty": "oct", "kid": "mac", "k": BASE64.encode(SECRET)});
    let public = set(&[secret.clone(), rsa_jwk("rsa-1")]).and_then(JwtKeys::public).unwrap();
    let jwt = Jwt::new(public);
    assert_eq!(user(&jwt, RSA_TOKEN.trim()).as_deref(), Some("kim"));
    let by_it = token(&json!({"alg": "HS256", "kid": "mac"}), &json!({"sub": "kim", "exp": FAR}), hs256);
    assert_eq!(jwt.claims(&by_it), Err(JwtError::UnknownKey));
    assert!(set(&[secret]).and_then(JwtKeys::public).unwrap_err().to_string().contains("no key"));
}

#[test]
fn a_public_key_in_pem_stands_for_any_id() {
    let jwt = Jwt::new(JwtKeys::parse(RSA_PEM).unwrap());
    assert_eq!(user(&jwt, RSA_TOKEN.trim()).as_deref(), Some("kim"));
    assert!(JwtKeys::parse(P256_PEM).is_ok());
    assert_eq!(jwt.check(RSA_TOKEN.trim()), None, "without its scheme");
    assert_eq!(jwt.check(&format!("Basic {}", RSA_TOKEN.trim())), None);
}

#[test]
fn keys_that_are_weak_private_or_ambiguous_are_refused() {
    let says = |keys: Result<JwtKeys, AuthError>| keys.unwrap_err().to_string();
    assert!(says(JwtKeys::secret(&SECRET[1..])).contains("32 bytes"));
    assert!(says(JwtKeys::parse(RSA_WEAK_PEM)).contains("too short"));
    assert!(says(JwtKeys::parse(P384_PEM)).contains("P-256"));
    assert!(says(JwtKeys::parse("-----BEGIN PRIVATE KEY-----")).contains("private key"));
    assert!(says(set(&[json!({"kty": "oct", "k": BASE64.encode("short")})])).contains("too short"));
    assert!(says(set(&[rsa_jwk("a"), rsa_jwk("a")])).contains("same `kid`"));
    assert!(
        says(set(&[json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "d": "secret"})])).contains("private key")
    );
    assert!(says(set(&[json!({"kty": "x"})])).contains("no key in it"));
    assert!(says(set(&vec![rsa_jwk("a"); MOST_KEYS + 1])).contains("more than 64"));
    assert!(says(JwtKeys::parse(&" ".repeat(300_000))).contains("larger than"));
    for bad in ["", "secret-text", "{", "{\"keys\": 1, \"secret-text\": 1}", "[]"] {
        let text = says(JwtKeys::parse(bad));
        assert!(!text.contains("secret-text"), "{text}");
    }
    // Two keys of a kind: which of them is meant has to be said.
    let two = Jwt::new(set(&[rsa_jwk("rsa-1"), rsa_jwk("rsa-2")]).unwrap());
    assert!(user(&two, RSA_TOKEN.trim()).is_some());
    assert!(two.keys.meant_by(None, Algorithm::RS256).is_none());
    assert!(!format!("{:?}", shared()).contains("0123456789abcdef"));
}

const MOST_KEYS: usize = 64;
