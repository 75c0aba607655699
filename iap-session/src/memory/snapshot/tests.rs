use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use iap_core::ManualClock;

use super::*;
use crate::write::{Expiry, Login, LoginPolicy, NewSession, Rotation, WhenFull};
use crate::{Loaded, MemoryConfig, Op, ScanQuery, SessionIds, SessionStore, StoreErrorKind};

const SECRET: &[u8] = b"the secret of these tests";

fn store(clock: &ManualClock, secret: &[u8], max_sessions: usize) -> MemoryStore {
    let config = MemoryConfig { clock: Arc::new(clock.clone()), max_sessions, ..MemoryConfig::default() };
    MemoryStore::with_config(SessionIds::new(secret).unwrap(), config)
}

fn login(when_full: WhenFull) -> Login {
    Login { user: "kim".into(), policy: LoginPolicy { max: 2, when_full } }
}

async fn found(store: &MemoryStore, key: SessionKey) -> Arc<Record> {
    let Ok(Some(Loaded::Found { record, .. })) = store.load(key, None).await else { panic!("it is there") };
    record
}

#[tokio::test]
async fn what_was_there_is_there_again_and_what_had_ended_is_not() {
    let clock = ManualClock::at(1_700_000_000_000);
    let before = store(&clock, SECRET, 1000);
    let new =
        || NewSession { login: Some(login(WhenFull::EvictOldest)), ..NewSession::new(Expiry::default()) };
    let first = before.create(new()).await.unwrap().record.key;
    let second = NewSession {
        attributes: [("cart".to_owned(), serde_json::json!({"ü": [1, null]}))].into(),
        binding: Some("home".into()),
        ..new()
    };
    let second = before.create(second).await.unwrap().record.key;
    let ended = before.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    before.revoke(ended, Reason::Operator).await.unwrap();
    let rotated = before.rotate(second, Rotation::new(Duration::from_secs(60))).await.unwrap().record.key;
    let short = Expiry { idle: Duration::from_secs(5), ..Expiry::default() };
    let short = before.create(NewSession::new(short)).await.unwrap().record.key;
    let kept = found(&before, rotated).await;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions");
    assert_eq!(before.save(&path).unwrap(), 3);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    clock.advance(Duration::from_secs(10));
    let after = store(&clock, SECRET, 1000);
    assert_eq!(after.restore(&path).unwrap(), 2);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it is read once");
    assert!(*found(&after, rotated).await == *kept, "all of it");
    assert!(found(&after, second).await.key == rotated, "the old id leads to it still");
    assert!(after.load(short, None).await.unwrap().is_none(), "its time is over");
    let gone = after.load(ended, None).await.unwrap_err();
    assert_eq!((gone.kind(), gone.reason()), (StoreErrorKind::Revoked, Some(Reason::Operator)));
    // The oldest login is still the oldest one.
    after.create(new()).await.unwrap();
    assert_eq!(after.load(first, None).await.unwrap_err().reason(), Some(Reason::Evicted));
    assert_eq!(after.scan(ScanQuery::of_user("kim")).await.unwrap().sessions.len(), 2);
    after.shards.iter().for_each(|shard| shard.lock().check());
}

#[tokio::test]
async fn the_bounds_of_the_store_hold_and_no_place_outlives_its_session() {
    let clock = ManualClock::at(1_700_000_000_000);
    let before = store(&clock, SECRET, 1000);
    for user in 0..20 {
        let login = Login { user: format!("user{user}").into(), policy: LoginPolicy::default() };
        before.create(NewSession { login: Some(login), ..NewSession::new(Expiry::default()) }).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions");
    before.save(&path).unwrap();
    let after = store(&clock, SECRET, 5);
    after.restore(&path).unwrap();
    assert_eq!((after.stats().await.unwrap().live, after.users.count()), (5, 5));
}

#[tokio::test]
async fn a_file_that_is_not_whole_restores_nothing_and_is_kept() {
    let clock = ManualClock::at(1_700_000_000_000);
    let before = store(&clock, SECRET, 1000);
    let created = before.create(NewSession::new(Expiry::default())).await.unwrap();
    let ops = vec![Op::Set("secret".into(), "of the user".into())];
    let commit = crate::Commit { op: OpId::random(), ops, expected: None, logout: false };
    before.commit(created.record.key, commit).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions");
    before.save(&path).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let cases = [
        (SECRET, whole.replace("of the user", "of somebody"), "checksum"),
        (SECRET, format!("{}\n", lines[..lines.len() - 1].join("\n")), "has no end"),
        (SECRET, whole[..whole.len() / 2].to_owned(), "not readable"),
        (SECRET, lines[1..].join("\n"), "no file of sessions"),
        (SECRET, whole.replace("\"format\":1", "\"format\":9"), "another version"),
        (SECRET, String::new(), "has no end"),
        (b"another secret for the ids", whole.clone(), "another secret"),
    ];
    for (secret, text, problem) in cases {
        std::fs::write(&path, text).unwrap();
        let after = store(&clock, secret, 1000);
        let error = after.restore(&path).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains("sessions.read"), "{error}");
        assert!(!error.contains("of the user"), "{error}");
        assert_eq!(after.stats().await.unwrap().live, 0);
        assert!(directory.path().join("sessions.read").exists());
    }
    assert_eq!(before.restore(&directory.path().join("none")).unwrap(), 0, "nothing was left");
}
