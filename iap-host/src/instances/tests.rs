use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::*;

const TWO: &str = "\
apm: {enabled: false}
instances:
  blue:
    id: 6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e5f
    settings:
      server: {listen: '127.0.0.1:8081'}
      admin: {listen: '127.0.0.1:9901', revisions: {directory: var/blue/revisions}}
      sessions: {api: '127.0.0.1:7001', node: gateway, snapshot: var/sessions.bin, secret: {env: S}}
  green:
    id: 0b9d5e2a-7b1c-4d4e-8f6f-1c2f0e8f434c
    settings:
      server: {listen: '127.0.0.1:8082'}
      admin: {listen: '127.0.0.1:9902'}
      sessions: {api: '127.0.0.1:7002'}
";

fn text(text: &str) -> Text {
    Text::read(text.into()).unwrap_or_else(|wrong| panic!("{wrong:?}")).expect("instances")
}

#[test]
fn a_clone_has_ports_directories_and_a_name_of_its_own() {
    let (made, told) = make(&text(TWO), Some("blue"), ("red", None), (&json!({}), None)).unwrap();
    assert_eq!(
        told.settings,
        json!({
            "server": { "listen": "127.0.0.1:8083" },
            "admin": { "listen": "127.0.0.1:9903", "revisions": { "directory": "var/red/revisions" } },
            "sessions": { "api": "127.0.0.1:7003", "node": "red", "snapshot": "var/sessions-red.bin" },
        })
    );
    let made = text(&made);
    let red = made.get("red").expect("it is there and valid");
    assert_eq!(red.instance.as_ref().map(|one| &one.id), Some(&told.id));
    assert_eq!(red.config.reports.directory, PathBuf::from("data/red/reports"));
    // What is said counts over what is chosen; and a second one differs in all.
    let said = json!({ "server": { "listen": "0.0.0.0:80" } });
    let (made, pink) = make(&made, Some("red"), ("pink", None), (&said, None)).unwrap();
    assert_eq!(pink.settings["server"]["listen"], "0.0.0.0:80");
    assert_eq!(pink.settings["admin"]["listen"], "127.0.0.1:9904");
    assert_ne!(pink.id, told.id);
    assert!(text(&made).get("pink").is_some());
}

#[test]
fn on_another_machine_the_ports_stay() {
    let (made, told) =
        make(&text(TWO), Some("green"), ("far", None), (&json!({}), Some("http://10.0.0.7:9902"))).unwrap();
    assert_eq!(told.settings, json!({}));
    assert_eq!(text(&made).get("far").unwrap().config.server.listen.port(), 8082);
}

#[test]
fn one_that_is_like_none_has_what_is_said_alone() {
    let settings = json!({
        "server": { "listen": "127.0.0.1:1" }, "admin": { "listen": "127.0.0.1:2" }, "sessions": { "enabled": false },
    });
    let id = "11111111-2222-4333-8444-555555555555";
    let (made, told) = make(&text(TWO), None, ("new", Some(id.into())), (&settings, None)).unwrap();
    assert_eq!((told.id.as_str(), told.settings), (id, settings));
    assert!(made.starts_with(TWO), "it is the last one");
    assert!(text(&made).get("new").is_some());
}

#[test]
fn only_what_one_alone_has_below_the_file_is_cleared() {
    let base = tempfile::tempdir().unwrap();
    let at = |path: &str| base.path().join(path);
    let outside = tempfile::tempdir().unwrap();
    for path in ["own/red/revisions/1", "own/red/reports", "own/red/access", "shared/in/common", "etc"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    let file = at("etc/../iap.yaml");
    fs::write(&file, "").unwrap();
    // Accounts that others have as well.
    fs::write(at("own/red/access/users"), "").unwrap();
    let id = |n: u8| format!("6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e{n:02}");
    let (red, shared, away) = (at("own/red"), at("shared/in"), outside.path());
    let instance = |name: &str, n: u8, settings: String| {
        format!(
            "  {name}:\n    id: {}\n    settings: {{server: {{listen: '127.0.0.1:{n}'}}, sessions: {{enabled: false}}, {settings}}}\n",
            id(n)
        )
    };
    let (red, shared, away) = (red.display(), shared.display(), away.display());
    let written = format!(
        "apm: {{enabled: false}}\ninstances:\n{}{}{}",
        instance(
            "red",
            1,
            format!(
                "admin: {{listen: '127.0.0.1:11', revisions: {{directory: '{red}/revisions'}}, access: {{directory: '{red}/access', users: '{red}/access/users'}}}}, reports: {{directory: '{red}/reports'}}"
            )
        ),
        instance(
            "in",
            2,
            format!(
                "admin: {{listen: '127.0.0.1:12', revisions: {{directory: '{shared}'}}}}, reports: {{directory: '{away}'}}"
            )
        ),
        instance(
            "common",
            3,
            format!(
                "admin: {{listen: '127.0.0.1:13', revisions: {{directory: '{shared}/common'}}, access: {{users: '{red}/access/users'}}}}"
            )
        ),
    );
    let written = text(&written);
    let found = clearable(&written, "red", &file);
    assert_eq!(
        found,
        [at("own/red/reports"), at("own/red/revisions")].map(|path| fs::canonicalize(path).unwrap())
    );
    assert_eq!(clearable(&written, "in", &file), Vec::<PathBuf>::new(), "around another's, and elsewhere");
    let cleared = clear(&found, "red");
    assert_eq!((cleared.removed, cleared.left), (found, vec![]));
    assert!(
        !at("own/red/revisions").exists() && at("own/red/access/users").exists() && outside.path().exists()
    );
    fs::remove_dir_all(at("own/red/access")).unwrap();
    fs::create_dir_all(at("own/red/revisions")).unwrap();
    clear(&clearable(&written, "red", &file), "red");
    assert!(
        !at("own/red").exists() && at("own").exists(),
        "what was its own by its name goes when it is empty"
    );
}
