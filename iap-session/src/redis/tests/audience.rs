//! What gateways have seen, united in a real server.

use super::*;
use crate::audience::{Audience, AudienceConfig, AudienceStore, AudienceView, By};

#[tokio::test(flavor = "multi_thread")]
async fn gateways_unite_whom_they_have_seen_and_leave_nothing_without_an_end() {
    let server = RedisServer::start();
    let config =
        || AudienceConfig { by: vec![By::Address, By::Cookie("{c}".into())], ..AudienceConfig::new([3; 32]) };
    let mut views = Vec::new();
    for _ in 0..2 {
        let shared: Arc<dyn AudienceStore> = Arc::new(connect(&server).await);
        let audience = Arc::new(Audience::new(config()));
        audience.begin_sharing();
        views.push(AudienceView { audience, shared: Some(shared) });
    }
    let now_s = 1_800_000_030;
    // 100 users each, half of them the same.
    for (gateway, view) in views.iter().enumerate() {
        for user in 0..100u64 {
            view.audience.see("shop", 0, &(user + gateway as u64 * 50).to_le_bytes());
        }
        view.audience.see("blog}", 1, b"one");
        view.audience.tick(now_s);
        view.audience.share(&**view.shared.as_ref().unwrap(), now_s).await.unwrap();
    }
    let view = &views[0];
    let window = view.audience.window(now_s, 3600);
    let count = async |by: By, application| view.count(&by, application, now_s, window).await.unwrap();
    assert!((147..=153).contains(&count(By::Address, Some("shop")).await));
    assert!((147..=153).contains(&count(By::Address, None).await));
    assert_eq!(count(By::Cookie("{c}".into()), Some("blog}")).await, 1);
    assert_eq!(count(By::Address, Some("blog}")).await, 0);
    let points = view.series(&By::Address, None, now_s, (window, 60)).await.unwrap().unwrap();
    assert_eq!(points.iter().filter(|point| point.users > 0).count(), 1);
    assert!(view.audience.count(&By::Address, None, window) < 110, "alone it has seen its own");

    let store = connect(&server).await;
    let keys: Vec<String> =
        store.connection.command("KEYS", ClusterHash::Random, vec!["*".into()], Effect::Read).await.unwrap();
    assert_eq!(keys.len(), 4 * 3, "{keys:?}");
    for key in keys {
        let args = vec![key.clone().into()];
        let left: i64 =
            store.connection.command("TTL", ClusterHash::FirstKey, args, Effect::Read).await.unwrap();
        assert!(left > 3600, "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_gateway_saw_while_redis_was_away_counts_afterwards() {
    let mut server = RedisServer::start();
    let shared: Arc<dyn AudienceStore> = Arc::new(connect(&server).await);
    let audience = Arc::new(Audience::new(AudienceConfig::new([3; 32])));
    audience.begin_sharing();
    audience.see("shop", 0, b"early");
    audience.tick(1_800_000_000);
    server.kill();
    audience.share(&*shared, 1_800_000_000).await.unwrap_err();
    server.restart();
    audience.see("shop", 0, b"late");
    audience.tick(1_800_000_002);
    eventually("shared", async || audience.share(&*shared, 1_800_000_002).await.ok()).await;
    let view = AudienceView { audience, shared: Some(shared) };
    let window = view.audience.window(1_800_000_002, 3600);
    assert_eq!(view.count(&By::Address, Some("shop"), 1_800_000_002, window).await.unwrap(), 2);
}
