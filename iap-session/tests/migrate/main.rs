//! Sessions of other systems, as those systems themselves have written them, go on here.

mod adopt;
mod connect;
mod rights;
mod spring;
mod tomcat;
mod tower;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use iap_session::migrate::{Candidate, ForeignSession, Import, Report, Source, Takeover};
use iap_session::testing::{RedisServer, patient};
use iap_session::{Loaded, MemoryStore, Record, RedisConfig, SessionIds, SessionStore};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate")
}

/// Runs what blocks beside the test.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A Redis with sessions of another system in it.
async fn redis() -> (RedisServer, RedisConfig) {
    let server = beside(RedisServer::start).await;
    let config = patient(server.url());
    (server, config)
}

/// Runs a program of `java`, and returns what it prints.
fn java(program: &str, args: &[&str]) -> String {
    static CLASSES: OnceLock<tempfile::TempDir> = OnceLock::new();
    let libraries = "/usr/share/tomcat10/lib/*:/usr/share/tomcat10/bin/*";
    let classes = CLASSES.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-encoding", "UTF-8", "-cp", libraries, "-d"]).arg(place.path());
        javac.args(["SpringSessions.java", "TomcatSessions.java"].map(|name| here().join("java").join(name)));
        let built = javac.output().expect("install the packages default-jdk-headless and tomcat10");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        place
    });
    let path = format!("{}:{libraries}", classes.path().display());
    let ran =
        Command::new("java").args(["-XX:TieredStopAtLevel=1", "-cp", &path, program]).args(args).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn store() -> Arc<dyn SessionStore> {
    Arc::new(MemoryStore::new(SessionIds::ephemeral()))
}

async fn import(store: &Arc<dyn SessionStore>, source: &Arc<dyn Source>) -> Report {
    run(store, source, false).await
}

async fn run(store: &Arc<dyn SessionStore>, source: &Arc<dyn Source>, dry_run: bool) -> Report {
    let (store, source) = (store.clone(), source.clone());
    let import = Import { store, source, takeover: Takeover::default(), dry_run };
    import.run(None, |_| {}).await.unwrap()
}

/// A session that was taken over, by its id there.
async fn taken(store: &Arc<dyn SessionStore>, source: &Arc<dyn Source>, id: &str) -> Arc<Record> {
    let key = store.ids().foreign(source.system(), id).key();
    match store.load(key, None).await.unwrap() {
        Some(Loaded::Found { record, .. }) => record,
        other => panic!("{id} was taken over, not {other:?}"),
    }
}

async fn found(source: &Arc<dyn Source>, cookie: &str) -> ForeignSession {
    let Candidate { id, session } = source.find(cookie).await.unwrap().expect("it is there");
    assert_eq!(Some(id), source.id(cookie), "a cookie and a scan lead to the same id");
    session.unwrap()
}
