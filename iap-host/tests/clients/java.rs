use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use iap_session::testing::RedisServer;
use serde_json::json;

use crate::common::{Host, Process, tomcat_base, workspace};
use crate::contract::{self, Visitor};
use crate::{app, client, gateway, python};

const HOME: &str = "/usr/share/tomcat10";
const CATALINA: &str = "/usr/share/tomcat10/bin/catalina.sh";
const SERVLET_API: &str = "/usr/share/tomcat10/lib/servlet-api.jar";

/// The directory below `target/` with our jar, and the application's classes.
fn built() -> &'static PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = workspace().join("target/clients-test-java");
        let build = Command::new(client("java").join("build.sh")).arg(&place).status().unwrap();
        assert!(build.success(), "install the packages default-jdk-headless and tomcat10");
        let (source, classes) = (app("java"), place.join("app"));
        let path = format!("{SERVLET_API}:{}", place.join("iap-session.jar").display());
        let mut javac = Command::new("javac");
        javac.args(["--release", "17", "-cp", &path, "-d"]).arg(&classes);
        javac.args([source.join("App.java"), source.join("iap/session/TestJson.java")]);
        assert!(javac.status().unwrap().success());
        place
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

const JAVA_OPTS: &str = "-Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dapp.port=";

/// A directory for a Tomcat with the application in it.
fn base() -> tempfile::TempDir {
    let base = tomcat_base(r#"port="${app.port}" address="127.0.0.1""#);
    let inside = base.path().join("webapps/tomcat/WEB-INF");
    copy(&built().join("app"), &inside.join("classes"));
    std::fs::create_dir(inside.join("lib")).unwrap();
    std::fs::copy(built().join("iap-session.jar"), inside.join("lib/iap-session.jar")).unwrap();
    std::fs::copy(app("java").join("web.xml"), inside.join("web.xml")).unwrap();
    base
}

/// A gateway that runs such a Tomcat, and Tomcat's directory.
fn start(redis: &RedisServer) -> (Host, tempfile::TempDir) {
    let base = base();
    let process = format!(
        "command: {CATALINA} run, env: {{CATALINA_HOME: {HOME}, CATALINA_BASE: '{}',
        JAVA_OPTS: '{JAVA_OPTS}{{port}}'}}",
        base.path().display()
    );
    (gateway(redis, "tomcat", &process), base)
}

#[test]
fn java_outlives_a_gateway() {
    let base = base();
    contract::outlives_a_gateway("tomcat", |port| {
        let mut tomcat = Command::new(CATALINA);
        tomcat.arg("run").env("CATALINA_HOME", HOME).env("CATALINA_BASE", base.path());
        tomcat.env("JAVA_OPTS", format!("{JAVA_OPTS}{port}")).stdout(Stdio::null()).stderr(Stdio::null());
        Process(tomcat.spawn().unwrap())
    });
}

#[test]
fn tomcat_has_its_session_in_the_gateway() {
    let redis = RedisServer::start();
    let (host, _base) = start(&redis);
    contract::holds(&host, "tomcat");

    let mut visitor = Visitor::new(&host, "tomcat");
    let told = visitor.post("bad").json();
    let said = told["said"].as_array().unwrap();
    assert_eq!(told["tried"], said.len(), "{told}");
    for message in said {
        let message = message.as_str().unwrap();
        assert!(message.starts_with("IllegalArgumentException: session attribute \"wrong\""), "{message}");
    }
    assert_eq!(visitor.post("login?user=").json(), json!({"status": 400, "kind": "bad_request"}));

    assert_eq!(visitor.post("handle").text(), "null", "nothing is stored");
    let id = visitor.post("id").text();
    let handle = visitor.post("handle").text();
    assert!(handle.len() == 16 && handle.bytes().all(|b| b.is_ascii_hexdigit()), "{handle}");
    assert_eq!(visitor.post("handle").text(), handle);
    assert_eq!(visitor.post("id").text(), id);
    visitor.post("rotate");
    assert_ne!(visitor.post("id").text(), id);
    assert_ne!(visitor.post("handle").text(), handle);

    what_may_commit_the_response_saves_first(&host);
    what_python_writes_at_another_gateway_is_read_here(&redis, &host);
}

fn what_may_commit_the_response_saves_first(host: &Host) {
    let mut visitor = Visitor::new(host, "tomcat");
    for (action, status, attribute) in
        [("redirect", 302, "redirected"), ("error", 418, "failed"), ("throw", 500, "thrown")]
    {
        assert_eq!(visitor.post(action).status, status);
        assert_eq!(visitor.state()["attributes"][attribute], true, "{action}");
    }
    let page = visitor.post("error").json();
    assert_eq!(page["attributes"]["failed"], true, "an error page has the session");
    for kind in ["stream", "wide", "text"] {
        let filled = visitor.post(&format!("fill?kind={kind}"));
        assert_eq!(filled.status, 200);
        let turns = filled.body.len() / 100;
        assert!(turns > 50, "{turns}");
        assert_eq!(visitor.state()["attributes"][kind], turns, "{kind}: the last change is kept");
    }
    assert!(visitor.browser.cookies.keys().all(|name| name != "JSESSIONID"), "Tomcat has none of its own");
}

fn what_python_writes_at_another_gateway_is_read_here(redis: &RedisServer, host: &Host) {
    let other = python::start(redis, "flask", "flask_app.py", "");
    let mut visitor = Visitor::new(&other, "flask");
    visitor.post("set?name=cart&value=[3]");
    visitor.post("login?user=alice");
    let mut visitor = visitor.goes_to(host, "tomcat");
    assert_eq!(visitor.state(), json!({"user": "alice", "new": false, "attributes": {"cart": [3]}}));
    visitor.post("append?name=cart&value=4");
    let mut visitor = visitor.goes_to(&other, "flask");
    assert_eq!(visitor.state()["attributes"], json!({"cart": [3, 4]}));
}
