use std::sync::Arc;
use std::time::Duration;

use iap_session::migrate::{Source, TomcatFiles};
use serde_json::json;

use crate::{beside, found, import, java, store, taken};

const PLAIN: &str = "0123456789ABCDEF0123456789ABCDEF";
const ROUTED: &str = "FEDCBA9876543210FEDCBA9876543210";

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_real_tomcat_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap().to_owned();
    beside(move || java("TomcatSessions", &["write", &place])).await;
    std::fs::write(directory.path().join("11111111.session"), b"\xac\xed\x00\x05nonsense").unwrap();
    std::fs::write(directory.path().join("notes.txt"), "no session").unwrap();
    let source: Arc<dyn Source> = Arc::new(TomcatFiles::new(directory.path(), None).unwrap());

    let plain = found(&source, PLAIN).await;
    assert_eq!((&plain.attributes["visits"], &plain.attributes["map"]), (&json!(3), &json!({"a": ["b"]})));
    assert_eq!((plain.user.as_deref(), plain.idle), (None, Some(Duration::from_secs(1800))));
    let routed = found(&source, &format!("{ROUTED}.node1")).await;
    assert_eq!((routed.user.as_deref(), routed.idle), (Some("carol"), None));

    // An object of the middle of the stream, which shares its class with one before it, is a whole one by itself.
    for (name, said) in [("cart", "bob [1, 2, 3]"), ("other", "eve [1, 2, 3]")] {
        let base64 = plain.attributes[name]["$opaque"]["base64"].as_str().unwrap().to_owned();
        assert_eq!(beside(move || java("TomcatSessions", &["read", &base64])).await, said);
    }

    let store = store();
    let report = import(&store, &source).await;
    assert_eq!((report.read, report.imported, report.unreadable_total()), (3, 2, 1));
    assert_eq!(report.opaque["TomcatSessions$Cart"], 4);
    assert_eq!(taken(&store, &source, ROUTED).await.user.as_deref(), Some("carol"));
    taken(&store, &source, PLAIN).await;
}

#[tokio::test]
async fn many_files_are_many_pages_and_nothing_leaves_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("sessions");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(directory.path().join("secretsecret.session"), "x").unwrap();
    for number in 0..250 {
        std::fs::write(inner.join(format!("{number:032}.session")), "x").unwrap();
    }
    let source: Arc<dyn Source> = Arc::new(TomcatFiles::new(&inner, None).unwrap());
    let report = import(&store(), &source).await;
    assert_eq!((report.read, report.unreadable_total()), (250, 250));
    for cookie in ["../secretsecret", "..", "/etc/passwd", "a/../../secretsecret", "secretsecret/"] {
        assert_eq!(source.id(cookie), None);
        assert!(source.find(cookie).await.unwrap().is_none());
    }
    assert!(TomcatFiles::new(directory.path().join("none"), None).is_err());
}
