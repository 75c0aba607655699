use serde_json::json;

use super::*;
use crate::config::Role;

const NOW_MS: u64 = 1_790_000_000_000;

fn claims(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn settings(roles_claim: &str) -> Settings {
    Settings {
        issuer: "https://id.example".to_owned(),
        client_id: "iap".to_owned(),
        client_secret: None,
        scopes: Vec::new(),
        roles_claim: roles_claim.to_owned(),
        roles: [("staff", Role::Viewer), ("ops", Role::Operator)]
            .map(|(value, role)| (value.to_owned(), role))
            .into(),
        name_claim: "preferred_username".to_owned(),
        label: None,
        external_url: None,
        end_session: false,
        tls: None,
    }
}

#[test]
fn a_token_is_for_us_alone_of_now_and_for_this_sign_in() {
    let good = json!({ "aud": "iap", "iat": NOW_MS / 1_000, "nonce": "n" });
    let judged = |changes: &Value| {
        let mut all = claims(good.clone());
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => all.remove(name),
                value => all.insert(name.clone(), value.clone()),
            };
        }
        check(&all, "iap", &Begun { nonce: "n", began_ms: NOW_MS - 5_000, now_ms: NOW_MS })
    };
    let seconds = NOW_MS / 1_000;
    for fine in [
        json!({}),
        json!({ "aud": ["iap"] }),
        json!({ "azp": "iap" }),
        json!({ "aud": ["iap", "shop"], "azp": "iap" }),
        json!({ "iat": seconds + 50 }),
        json!({ "iat": seconds as f64 + 0.5 }),
        json!({ "iat": seconds - 60 }),
    ] {
        assert_eq!(judged(&fine), Ok(()), "{fine}");
    }
    for (bad, why) in [
        (json!({ "aud": ["iap", "shop"] }), "several"),
        (json!({ "azp": "shop" }), "`azp`"),
        (json!({ "azp": ["iap"] }), "`azp`"),
        (json!({ "iat": null }), "`iat`"),
        (json!({ "iat": "now" }), "`iat`"),
        (json!({ "iat": seconds + 120 }), "`iat`"),
        (json!({ "iat": seconds - 120 }), "`iat`"),
        (json!({ "iat": 1e300 }), "`iat`"),
        (json!({ "nonce": null }), "`nonce`"),
        (json!({ "nonce": "" }), "`nonce`"),
        (json!({ "nonce": "N" }), "`nonce`"),
    ] {
        assert!(judged(&bad).is_err_and(|error| error.contains(why)), "{bad}");
    }
}

#[test]
fn roles_are_found_by_name_or_by_way_and_the_highest_counts() {
    let role = |claim: &str, value: Value| {
        let mut all = claims(json!({ "sub": "1", "preferred_username": "kim" }));
        all.extend(claims(value));
        let settings = settings(claim);
        let (name, person) = read(&all, &settings).expect("somebody");
        assert_eq!((name.as_str(), person.subject.as_str()), ("kim", "1"));
        person.role(&settings)
    };
    assert_eq!(role("groups", json!({ "groups": ["staff", "ops", "others"] })), Some(Role::Operator));
    assert_eq!(role("groups", json!({ "groups": "staff" })), Some(Role::Viewer));
    assert_eq!(role("realm.roles", json!({ "realm": { "roles": ["ops"] } })), Some(Role::Operator));
    let url = "https://ops.example/roles";
    assert_eq!(role(url, json!({ url: ["ops"] })), Some(Role::Operator), "a name with dots");
    for none in [
        json!({}),
        json!({ "groups": [] }),
        json!({ "groups": ["OPS", "ops "] }),
        json!({ "groups": { "ops": true } }),
        json!({ "groups": [["ops"], 7, null] }),
    ] {
        assert_eq!(role("groups", none.clone()), None, "{none}");
    }
    assert_eq!(role("realm.roles", json!({ "realm": ["ops"] })), None);
}

#[test]
fn a_role_is_that_of_the_settings_of_now_and_of_the_same_provider() {
    let all = claims(json!({ "sub": "1", "preferred_username": "kim", "groups": ["ops"] }));
    let mut now = settings("groups");
    let (_, person) = read(&all, &now).expect("somebody");
    now.roles.insert("ops".to_owned(), Role::Viewer);
    assert_eq!(person.role(&now), Some(Role::Viewer), "demoted");
    now.roles.remove("ops");
    assert_eq!(person.role(&now), None);
    let other = Settings { issuer: "https://other.example".to_owned(), ..settings("groups") };
    assert_eq!(person.role(&other), None);
}

#[test]
fn names_are_told_and_can_be_shown() {
    let name = |value: Value| {
        let all = claims(json!({ "sub": "1", "preferred_username": value }));
        read(&all, &settings("groups")).map(|(name, _)| name)
    };
    assert_eq!(name(json!(" Kim Min-jun ")), Ok("Kim Min-jun".to_owned()));
    assert_eq!(name(json!("김민준")), Ok("김민준".to_owned()));
    for bad in [
        json!(null),
        json!(""),
        json!("  "),
        json!(7),
        json!("a\nb"),
        json!("a\u{202e}b"),
        json!("x".repeat(65)),
    ] {
        assert_eq!(name(bad.clone()), Err(Failure::NoName), "{bad}");
    }
    for subject in [json!(null), json!(""), json!("a\u{0}"), json!("x".repeat(256))] {
        let all = claims(json!({ "sub": subject, "preferred_username": "kim" }));
        assert_eq!(read(&all, &settings("groups")).err(), Some(Failure::Refused), "{subject}");
    }
}
