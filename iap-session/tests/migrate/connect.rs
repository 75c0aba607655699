use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use iap_session::migrate::{Connect, Source};
use iap_session::{StoreErrorKind, testing::RedisServer};
use serde_json::json;

use crate::{beside, found, here, import, redis, store, taken};

const SECRET: &str = "keyboard cat";

/// The writer with its packages, in a directory below `target/`.
fn prepared() -> &'static PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = here().ancestors().nth(3).unwrap().join("target/migrate-test");
        std::fs::create_dir_all(&place).unwrap();
        let lock = here().join("express/package-lock.json");
        let fresh = std::fs::read(place.join("package-lock.json")).ok() == std::fs::read(&lock).ok();
        for name in ["package.json", "write.mjs"] {
            std::fs::copy(here().join("express").join(name), place.join(name)).unwrap();
        }
        if !(fresh && place.join("node_modules/connect-redis").exists()) {
            std::fs::copy(lock, place.join("package-lock.json")).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            let installed = npm.current_dir(&place).status().expect("install the packages nodejs and npm");
            assert!(installed.success(), "npm ci failed");
        }
        place
    })
}

/// The cookies that a server with express-session has given to two users.
async fn written(server: &RedisServer, max_age: &str) -> Vec<String> {
    let (port, max_age) = (server.port().to_string(), max_age.to_owned());
    let output = beside(move || {
        let mut node = Command::new("node");
        node.arg("write.mjs").args([&port, SECRET, &max_age]).current_dir(prepared());
        node.output().unwrap()
    });
    let output = output.await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.strip_prefix("connect.sid=").unwrap().to_owned()).collect()
}

async fn connect(server: &RedisServer, secrets: &[&str]) -> Arc<dyn Source> {
    let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
    let config = iap_session::testing::patient(server.url());
    Arc::new(Connect::new(&config, Connect::PREFIX, &secrets, None).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_real_express_are_read() {
    let (server, config) = redis().await;
    let cookies = written(&server, "600000").await;
    let source = connect(&server, &["a newer secret", SECRET]).await;
    let session = found(&source, &cookies[0]).await;
    assert_eq!(session.attributes["cart"], json!([1, {"two": "zwei"}]));
    assert_eq!(session.user.as_deref(), Some("alice"), "Passport's user");
    assert_eq!(session.idle, Some(Duration::from_secs(600)), "as its cookie says");
    assert!(!session.attributes.contains_key("cookie"));

    let store = store();
    let report = import(&store, &source).await;
    assert_eq!((report.read, report.imported, report.is_complete()), (2, 2, true));
    let id = source.id(&cookies[1]).unwrap();
    assert_eq!(taken(&store, &source, &id).await.user.as_deref(), Some("bob"));

    let none = Connect::new(&config, Connect::PREFIX, &[], None).err().unwrap();
    assert_eq!(none.kind(), StoreErrorKind::Invalid, "without a secret anybody could make a cookie");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_without_an_age_lives_as_long_as_its_key() {
    let (server, _) = redis().await;
    let cookies = written(&server, "").await;
    let source = connect(&server, &[SECRET]).await;
    let session = found(&source, &cookies[0]).await;
    assert_eq!(session.idle, Some(Duration::from_secs(86_400)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_cookie_is_nobodys() {
    let (server, _) = redis().await;
    let cookies = written(&server, "600000").await;
    let source = connect(&server, &[SECRET]).await;
    let other = connect(&server, &["another secret"]).await;
    assert!(source.id(&cookies[0]).is_some());
    assert_eq!(other.id(&cookies[0]), None, "signed with a secret that we do not know");
    let (id, signature) = cookies[0].rsplit_once('.').unwrap();
    let (other_id, _) = cookies[1].rsplit_once('.').unwrap();
    let forged = [
        format!("{other_id}.{signature}"),
        format!("{id}."),
        id.to_owned(),
        id.trim_start_matches("s%3A").to_owned(),
        format!("{}x", cookies[0]),
        cookies[0].replace("s%3A", "j%3A"),
        "s%3A%".to_owned(),
        String::new(),
    ];
    for cookie in forged {
        assert_eq!(source.id(&cookie), None, "{cookie}");
        assert!(source.find(&cookie).await.unwrap().is_none());
    }
}
