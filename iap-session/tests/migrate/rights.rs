//! The rights that the documentation asks for are enough.

use std::sync::Arc;
use std::time::Duration;

use iap_session::migrate::{Import, Source, Spring, Takeover};
use iap_session::{RedisConfig, RedisStore, SessionIds, SessionStore};

use crate::{found, redis};

/// Makes the user whose line stands in a document, with a password.
fn user(server: &iap_session::testing::RedisServer, document: &str) -> RedisConfig {
    let path = crate::here().ancestors().nth(3).unwrap().join("docs").join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let line = line.replace(">PASSWORD", ">secret");
    let words: Vec<&str> = line.split(' ').collect();
    server.ask(&words).unwrap();
    let config = iap_session::testing::patient(server.url());
    RedisConfig { username: Some(words[2].to_owned()), password: Some("secret".into()), ..config }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough() {
    let (server, _) = redis().await;
    let id = "77777777-7777-7777-7777-777777777777";
    let key = format!("spring:session:sessions:{id}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = now.to_string();
    server
        .ask(&["HSET", &key, "creationTime", &now, "maxInactiveInterval", "60", "sessionAttr:n", "1"])
        .unwrap();
    server.ask(&["HSET", &key, "sessionAttr:user", "\"alice\""]).unwrap();

    let old = user(&server, "migration-sessions.md");
    let source = Spring::new(&old, Spring::NAMESPACE, Some("user".into())).unwrap();
    let source: Arc<dyn Source> = Arc::new(source);
    assert_eq!(found(&source, id).await.attributes["n"], 1);
    let ours = user(&server, "sessions.md");
    let store = RedisStore::connect(SessionIds::ephemeral(), ours).await.unwrap();
    let store: Arc<dyn SessionStore> = Arc::new(store);
    let import = Import { store: store.clone(), source, takeover: Takeover::default(), dry_run: false };
    assert_eq!(import.run(None, |_| {}).await.unwrap().imported, 1);
    let key = store.ids().foreign("spring", id).key();
    store.settle(key, Duration::ZERO).await.unwrap();
    assert!(store.load(key, None).await.unwrap().is_some());
}
