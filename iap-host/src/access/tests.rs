use std::time::Duration;

use http::HeaderValue;
use iap_core::ManualClock;
use serde_json::{Value, json};

use super::audit::Record;
use super::users::{Users, check_name, hash};
use super::*;
use crate::config::{AccessTokenConfig, OidcConfig, SecretRef, Span};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOW_MS: u64 = 1_790_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

fn config(directory: &tempfile::TempDir) -> AccessConfig {
    AccessConfig {
        directory: directory.path().to_owned(),
        idle: Span::seconds(3_600),
        absolute: Span::seconds(10_000),
        ..AccessConfig::default()
    }
}

fn with_cookie(cookie: &str) -> HeaderMap {
    let pair = cookie.split(';').next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::try_from(format!("other=1; {pair}")).expect("a header"));
    headers
}

#[test]
fn each_role_may_what_the_one_before_may_and_more() {
    let rights = |role| Right::ALL.into_iter().filter(|right| right.is_of(role)).count();
    assert_eq!([Role::Viewer, Role::Developer, Role::Operator, Role::Admin].map(rights), [1, 2, 4, 5]);
    assert!(!Right::Person.is_of(Role::Developer) && Right::Person.is_of(Role::Operator));
}

#[test]
fn a_file_of_users_is_read_or_says_where_it_is_wrong() {
    let secret = hash("correct horse battery").expect("a hash");
    let users =
        Users::parse(&format!("# people\n\nkim:admin:{secret}\n 이순신:viewer:{secret}\n")).expect("fine");
    assert_eq!(users.list().collect::<Vec<_>>(), [("kim", Role::Admin), ("이순신", Role::Viewer)]);
    let line = format!("kim:admin:{secret}");
    for (text, error) in [
        ("kim".to_owned(), "line 1: write `name:role:hash`"),
        (format!("{line}\nlee:boss:{secret}"), "line 2: the role is viewer"),
        (format!("{line}\n{line}"), "line 2: this name is there twice"),
        (format!("a b:admin:{secret}"), "line 1: a name has"),
        ("kim:admin:hunter2".to_owned(), "the password of `kim` is not an argon2"),
    ] {
        let message = Users::parse(&text).expect_err("wrong");
        assert!(message.starts_with(error), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert!(hash("too short").is_err());
    assert!(check_name("").is_err() && check_name("a\nb").is_err() && check_name(&"x".repeat(65)).is_err());
}

#[test]
fn a_file_that_changes_is_read_again_and_a_damaged_one_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("users");
    let clock = ManualClock::at(NOW_MS);
    let file = UserFile::read(&path, Arc::new(clock.clone())).expect("nobody is there yet");
    let later = || {
        clock.advance(Duration::from_secs(1));
        file.users().role("kim")
    };
    assert_eq!(later(), None);
    let mut users = Users::default();
    users.set("kim", Role::Admin, hash("correct horse battery").expect("a hash"));
    users.write(&path).expect("written");
    assert_eq!(later(), Some(Role::Admin));
    std::fs::write(&path, "no file of users").expect("written");
    assert_eq!(later(), Some(Role::Admin));
    users.remove("kim");
    users.write(&path).expect("written");
    assert_eq!(later(), None);
}

#[tokio::test]
async fn a_password_is_right_or_not_and_names_are_nobodys_business() {
    let secret = hash("correct horse battery").expect("a hash");
    let users = Users::parse(&format!("kim:operator:{secret}")).expect("fine");
    let check = async |name, password| users.verify(name, password).await.expect("judged");
    assert_eq!(check("kim", "correct horse battery").await, Some(Role::Operator));
    assert_eq!(check("kim", "correct horse batterx").await, None);
    assert_eq!(check("lee", "correct horse battery").await, None);
}

#[test]
fn wrong_passwords_make_the_next_try_wait_at_that_address_alone() {
    let clock = ManualClock::at(NOW_MS);
    let throttle = Throttle::new(Arc::new(clock.clone()));
    for _ in 0..6 {
        assert_eq!(throttle.admit("kim", HERE), Ok(()), "five wrong ones are free");
    }
    assert_eq!(throttle.admit("kim", HERE), Err(2));
    assert_eq!((throttle.admit("kim", ELSEWHERE), throttle.admit("lee", HERE)), (Ok(()), Ok(())));
    clock.advance(Duration::from_secs(2));
    for wait in [4, 8, 16, 32, 64, 128, 256, 300, 300] {
        assert_eq!(throttle.admit("kim", HERE), Ok(()));
        assert_eq!(throttle.admit("kim", HERE), Err(wait), "no longer than five minutes");
        clock.advance(Duration::from_secs(wait));
    }
    throttle.succeeded("kim", HERE);
    for _ in 0..6 {
        assert_eq!(throttle.admit("kim", HERE), Ok(()), "a right one forgives");
    }
    for _ in 0..20 {
        assert_eq!(throttle.admit("jung", HERE), Ok(()), "what was not judged is not wrong");
        throttle.not_judged("jung", HERE);
    }
    let tries = (0..100).filter(|n| throttle.admit(&format!("name-{n}"), ELSEWHERE).is_ok()).count();
    assert_eq!(tries, 51, "many names from one address: fifty are free");
    clock.advance(Duration::from_secs(901));
    assert_eq!(throttle.admit("park", ELSEWHERE), Ok(()), "forgotten in time");
}

#[test]
fn a_sign_in_ends_by_idleness_by_age_and_by_hand_and_outlives_the_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(NOW_MS);
    let open = || SignIns::open(&config(&directory), Arc::new(clock.clone())).expect("opened");
    let sign_ins = open();
    let (token, one) = sign_ins.begin("kim", None, (HERE, "Mozilla\n5")).expect("begun");
    assert_eq!(one.agent, "Mozilla5");
    let headers = with_cookie(&sign_ins.cookie(Some(&token)));
    let given = sign_ins.tokens(&headers).next().expect("the cookie");
    assert_eq!(sign_ins.seen(&given).map(|seen| seen.name), Some("kim".to_owned()));

    let kept = std::fs::read_to_string(directory.path().join("sign-ins.json")).expect("kept");
    let cookie = sign_ins.cookie(Some(&token));
    let secret = cookie.split(['=', ';']).nth(1).expect("a value");
    assert!(secret.len() == 64 && !kept.contains(secret), "the token itself is nowhere");

    let next = open();
    assert!(next.seen(&token).is_some(), "the next process knows it");
    clock.advance(HOUR * 2);
    assert!(next.seen(&token).is_none(), "idle for too long");
    let (token, two) = next.begin("kim", None, (HERE, "")).expect("begun");
    for _ in 0..4 {
        clock.advance(HOUR / 2 + HOUR / 10);
        assert!(next.seen(&token).is_some());
    }
    clock.advance(HOUR / 2 + HOUR / 10);
    assert!(next.seen(&token).is_none(), "too old, however busy");

    let (token, three) = next.begin("lee", None, (HERE, "")).expect("begun");
    assert_eq!(next.list(None).len(), 1, "those that are over are not listed");
    assert!(!next.end(&two.id, None) && !next.end(&three.id, Some("kim")), "not hers");
    assert!(next.end(&three.id, Some("lee")) && next.seen(&token).is_none());
    assert!(open().seen(&token).is_none(), "also for the next process");
    for _ in 0..30 {
        next.begin("park", None, (HERE, "")).expect("begun");
    }
    assert_eq!(next.list(Some("park")).len(), 20, "bounded for one person");
}

#[test]
fn somebody_whom_a_provider_knows_is_believed_for_a_while_and_has_no_local_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(NOW_MS);
    let provider: OidcConfig = serde_json::from_value(json!({
        "issuer": "http://127.0.0.1:1", "client_id": "iap", "roles": { "ops": "operator" }, "lifetime": "30m",
    }))
    .expect("settings");
    let users = directory.path().join("users");
    let token = AccessTokenConfig { role: Role::Viewer, token: SecretRef::Env("TOKEN".to_owned()) };
    let config = AccessConfig {
        users: Some(users.clone()),
        oidc: Some(provider.clone()),
        tokens: [("ci".to_owned(), token)].into(),
        ..config(&directory)
    };
    // Nobody is asked here.
    let settings = OidcSettings::new(&provider, None, None);
    let access = Access::new(&config, Vec::new(), Some(settings), Arc::new(clock.clone()));
    let access = access.expect("opened");
    let person = |subject: &str| Person {
        issuer: "http://127.0.0.1:1".to_owned(),
        subject: subject.to_owned(),
        values: vec!["ops".to_owned()],
    };
    let oidc = access.oidc.as_ref().expect("a provider");
    let come = |name: &str, subject: &str| access.let_in(oidc, name, person(subject), (HERE, ""));
    let (token, caller, _) = come("kim", "1").expect("let in");
    assert_eq!((caller.role, caller.via), (Role::Operator, Via::Oidc));
    assert_eq!(come("kim", "2").err(), Some(Failure::NameTaken), "somebody else");
    assert!(come("kim", "1").is_ok(), "the same in another browser");
    let seen =
        |token: &Token| access.caller(&with_cookie(&access.cookie(Some(token)))).map(|caller| caller.role);
    assert_eq!(seen(&token), Some(Role::Operator));
    clock.advance(HOUR / 2 + Duration::from_secs(1));
    assert_eq!(seen(&token), None, "busy or not: the provider is asked anew");

    let (token, ..) = come("kim", "2").expect("the name is free again");
    let mut local = Users::default();
    local.set("kim", Role::Viewer, hash("correct horse battery").expect("a hash"));
    local.write(&users).expect("written");
    clock.advance(Duration::from_secs(1));
    assert_eq!(seen(&token), None, "a local account has its name for itself");
    for taken in ["kim", "ci", "anonymous"] {
        assert_eq!(come(taken, "3").err(), Some(Failure::NameTaken), "{taken}");
    }
}

#[test]
fn what_was_done_is_read_back_across_days_and_forgotten_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(NOW_MS);
    let keep = HOUR * 24 * 30;
    let audit = Audit::open(directory.path(), keep, Arc::new(clock.clone())).expect("opened");
    let record = |n: u16| Record::new(&Caller::local(), Some(HERE), format!("POST /{n}"), Value::Null, n);
    let statuses = |limit, before| -> Vec<u16> {
        audit.last(limit, before).expect("read").iter().map(|record| record.status).collect()
    };
    for n in 200..203 {
        audit.note(record(n));
        clock.advance(HOUR * 20);
    }
    assert_eq!(statuses(10, u64::MAX), [202, 201, 200]);
    assert_eq!(statuses(2, u64::MAX), [202, 201]);
    assert_eq!(statuses(10, NOW_MS + 72_000_000), [200]);
    let today = std::fs::read_dir(directory.path()).expect("listed").count();
    assert_eq!(today, 3, "a file a day");
    clock.advance(keep);
    audit.note(record(204));
    assert_eq!(statuses(10, u64::MAX), [204, 202], "two days are too old");
    // The process was killed in the middle of a line.
    let newest = audit_files(&directory).pop().expect("a file");
    let text = std::fs::read_to_string(&newest).expect("read");
    std::fs::write(&newest, format!("{text}{}", &text[..text.len() / 2])).expect("written");
    assert_eq!(statuses(1, u64::MAX), [204]);
}

fn audit_files(directory: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory.path())
        .expect("listed")
        .map(|entry| entry.expect("one").path())
        .collect();
    files.sort();
    files
}
