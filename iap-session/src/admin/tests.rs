use super::*;
use crate::SessionIds;
use crate::memory::MemoryStore;
use crate::write::{Expiry, Login, LoginPolicy, NewSession};

async fn login(store: &MemoryStore, user: &str) -> SessionKey {
    let mut new = NewSession::new(Expiry::default());
    new.attributes.insert("card".into(), "4111".into());
    new.login = Some(Login { user: user.into(), policy: LoginPolicy::default() });
    store.create(new).await.unwrap().record.key
}

#[tokio::test]
async fn values_are_shown_only_when_asked_for() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let sessions = Sessions::new(store.clone());
    let key = login(&store, "alice").await;
    let hidden = sessions.get(key, Values::default()).await.unwrap().unwrap();
    let json = serde_json::to_value(&hidden).unwrap();
    assert_eq!(json["entries"], serde_json::json!([{ "name": "card", "bytes": 10 }]));
    assert_eq!((&json["user"], &json["key"]), (&"alice".into(), &key.to_string().into()));
    assert!(!json.to_string().contains("4111"));
    let shown = sessions.get(key, Values::Shown).await.unwrap().unwrap();
    assert_eq!(shown.entries[0].value, Some("4111".into()));
}

#[tokio::test]
async fn a_users_sessions_are_ended_and_others_are_not() {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let sessions = Sessions::new(store.clone());
    let mine = [login(&store, "alice").await, login(&store, "alice").await];
    let other = login(&store, "bob").await;
    assert_eq!(sessions.list(ScanQuery::of_user("alice")).await.unwrap().sessions.len(), 2);
    assert_eq!(sessions.revoke_user("alice").await.unwrap(), 2);
    assert_eq!(sessions.revoke_user("alice").await.unwrap(), 0);
    for key in mine {
        assert!(sessions.get(key, Values::Hidden).await.unwrap().is_none());
        assert!(!sessions.revoke(key).await.unwrap());
    }
    assert!(sessions.get(other, Values::Hidden).await.unwrap().is_some());
    assert_eq!(sessions.stats().await.unwrap().live, 1);
    assert!(sessions.revoke(other).await.unwrap());
}
