use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iap_session::migrate::{Source, TowerSessions};
use iap_session::testing::RedisServer;
use serde_json::json;
use tower_sessions_core::session::{Id, Record};

use crate::{beside, found, import, redis, store, taken};

/// Writes a session as the Redis store of tower-sessions does.
async fn write(server: &RedisServer, record: &Record) -> String {
    let (key, bytes) = (record.id.to_string(), rmp_serde::to_vec(record).unwrap());
    let (port, name) = (server.port().to_string(), key.clone());
    let status = beside(move || {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &port, "-x", "SET", &name]).stdin(std::process::Stdio::piped());
        let mut child = cli.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
        child.wait().unwrap()
    });
    assert!(status.await.success());
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_tower_sessions_are_read() {
    let (server, config) = redis().await;
    let data = HashMap::from([
        ("axum-login.data".to_owned(), json!({"user_id": 7, "auth_hash": [1, 255]})),
        ("count".to_owned(), json!(-3)),
        ("half".to_owned(), json!(0.5)),
        ("text".to_owned(), json!("ü".repeat(300))),
    ]);
    let expiry_date = (SystemTime::now() + Duration::from_secs(3600)).into();
    let record = Record { id: Id::default(), data: data.clone(), expiry_date };
    let key = write(&server, &record).await;
    let over = Record { id: Id::default(), expiry_date: SystemTime::UNIX_EPOCH.into(), ..record.clone() };
    write(&server, &over).await;
    server.ask(&["SET", "AAAAAAAAAAAAAAAAAAAAAA", "no session"]).unwrap();
    server.ask(&["SET", "something else", "x"]).unwrap();

    let user = Some("axum-login.data.user_id".to_owned());
    let source = TowerSessions::new(&config, "", user).unwrap();
    let source: Arc<dyn Source> = Arc::new(source);
    let session = found(&source, &key).await;
    assert_eq!(session.attributes, data.into_iter().collect());
    let idle = session.idle.unwrap();
    assert!(idle > Duration::from_secs(3000) && idle <= Duration::from_secs(3600), "{idle:?}");
    let store = store();
    let report = import(&store, &source).await;
    assert_eq!((report.read, report.imported, report.expired, report.unreadable_total()), (3, 1, 1, 1));
    taken(&store, &source, &key).await;
}
