use std::fs;

use super::store::Store;
use super::*;

const TEXT: &str = "# mine\nroutes: []\n";

fn wish(reason: &str) -> Wish {
    Wish { origin: Origin::File, author: "kim".into(), reason: reason.into(), restores: None }
}

fn config(directory: &Path) -> Config {
    let mut config = Config::default();
    config.admin.revisions.directory = Some(directory.to_owned());
    config
}

fn start(config: &Config, text: &str) -> Revisions {
    Revisions::start((config, text), None, (&Environment::new(), None))
}

fn add(store: &mut Store, state: State, keep: usize) -> u64 {
    let (number, kept) = store.add(revision(wish("more"), None, "hash", state), TEXT, keep);
    kept.expect("kept");
    number
}

#[test]
fn the_same_configuration_is_the_same_revision_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path());
    let number = |config: &Config, text: &str| start(config, text).running().number;
    assert_eq!(number(&config, TEXT), 1);
    assert_eq!(number(&config, TEXT), 1);
    assert_eq!(number(&config, "routes: []\n"), 2, "another comment");
    config.server.drain = crate::config::Span::seconds(7);
    assert_eq!(number(&config, "routes: []\n"), 3, "the environment says otherwise");
}

#[test]
fn what_was_pending_when_the_process_died_was_interrupted_and_the_last_stable_one_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let revisions = start(&config, TEXT);
    assert_eq!(revisions.begin(wish("faster"), config.clone(), "routes: [] # faster\n".into()).number, 2);
    // Nobody has said what became of it.
    drop(revisions);
    let store = Store::open(Some(directory.path())).expect("read");
    assert_eq!(store.last_stable().map(|stable| stable.number), Some(1));
    let kept = fs::read_to_string(directory.path().join("0000000002.json")).expect("a file");
    assert!(kept.contains("\"interrupted\"") && kept.contains("faster"), "{kept}");
    assert_eq!(start(&config, TEXT).running().number, 1);
}

#[test]
fn old_ones_go_but_never_the_last_stable_one_and_no_number_comes_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(Some(directory.path())).expect("opened");
    for _ in 0..3 {
        add(&mut store, State::Stable, 3);
    }
    for _ in 0..9 {
        let number = add(&mut store, State::Pending, 3);
        store.settle(number, State::Failed, Some("busy".into())).expect("kept");
    }
    assert_eq!(store.last_stable().map(|stable| stable.number), Some(3));
    assert!(store.text(1).expect("read").is_none(), "too old");
    let last = add(&mut store, State::Stable, 3);
    let left = fs::read_dir(directory.path()).expect("listed").count();
    assert_eq!((last, left), (13, 3));
    let again = Store::open(Some(directory.path())).expect("read again");
    assert_eq!(again.last_stable().map(|stable| stable.number), Some(13));
}

#[test]
fn a_damaged_file_is_set_aside_and_another_processs_is_not_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("0000000004.json"), "{").expect("written");
    let mut one = Store::open(Some(directory.path())).expect("opened");
    let mut other = Store::open(Some(directory.path())).expect("opened");
    assert_eq!(add(&mut one, State::Stable, 9), 5, "no number comes again");
    assert_eq!(add(&mut other, State::Stable, 9), 6);
    assert_eq!(other.text(5).expect("read").as_deref(), Some(TEXT));
}

#[test]
fn without_a_directory_they_are_in_memory() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for place in [None, Some(file.path().join("below a file"))] {
        let mut config = Config::default();
        config.admin.revisions.directory = place;
        let revisions = start(&config, TEXT);
        let number = revisions.begin(wish("more"), config, "routes: [] # more\n".into()).number;
        revisions.settle(number, State::Stable, None);
        let text = revisions.text(number).expect("known");
        assert_eq!(text.as_deref(), Some("routes: [] # more\n"));
    }
}

#[test]
fn no_secret_is_shown_and_none_is_lost() {
    let source = "upstreams: {db: {servers: ['http://kim:hunter2-and-more@10.0.0.1']}}\n\
                  routes:\n- name: app\n  process: {command: run, env: {DB_PASSWORD: 's3cret-enough', TOKEN: {env: T}}}\n";
    let shown = redact(source);
    assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("TOKEN: {env: T}"), "a reference is no secret: {shown}");
    assert_eq!(shown.lines().count(), source.lines().count());
    assert_eq!(restore(&shown, source).as_deref(), Ok(source));
    let edited = shown.replace("name: app", "name: shop");
    assert_eq!(restore(&edited, source), Ok(source.replace("name: app", "name: shop")));
    assert_eq!(restore(&shown, "routes: []\n"), Err(redact::BadMark(1, 40)));
    let begin = shown.find("redacted-").expect("a mark");
    let mark = &shown[begin..begin + 21];
    for elsewhere in [
        format!("# {mark}\n{shown}"),
        format!("routes: [{{name: {mark}}}]\n"),
        shown.replace(mark, &format!("{mark}x")),
    ] {
        assert!(restore(&elsewhere, source).is_err(), "it would be seen: {elsewhere}");
    }
    let told = conceal("there is no upstream `hunter2-and-more`", source);
    assert_eq!(told, format!("there is no upstream `{mark}`"));
    assert_eq!(restore("# redacted-by-me\n", source).as_deref(), Ok("# redacted-by-me\n"));
    let other = redact(&source.replace("hunter2", "hunter3"));
    let diff = unified(("a", &shown), ("b", &other));
    assert!(
        diff.contains("\n-upstreams") && !diff.contains("hunter"),
        "it shows that one has changed: {diff}"
    );
}

#[test]
fn changes_are_named_by_the_setting() {
    let parse = |text: &str| config::parse("x", text, &Environment::new()).expect("valid");
    let route = |name: &str, status: u16| {
        format!("- {{name: {name}, path: /{name}, respond: {{status: {status}}}}}\n")
    };
    let before = parse(&format!("routes:\n{}{}", route("a", 200), route("b", 200)));
    let after = parse(&format!(
        "server: {{drain: 7s, trusted_proxies: [private]}}\nupstreams: {{x.y: {{servers: ['127.0.0.1:1']}}}}\nroutes:\n{}{}",
        route("c", 200),
        route("a", 204)
    ));
    let found = changes(&before, &after);
    let mut found: Vec<_> = found.iter().map(|change| (change.path.as_str(), change.kind)).collect();
    found.sort_by_key(|(path, _)| path.to_owned());
    use settings::ChangeKind::{Added, Changed, Removed};
    let expected = [
        ("routes[a].respond.status", Changed),
        ("routes[b]", Removed),
        ("routes[c]", Added),
        ("server.drain", Changed),
        ("server.trusted_proxies", Changed),
        ("upstreams[x.y]", Added),
    ];
    assert_eq!(found, expected);
    assert_eq!(changes(&before, &before), []);
    let (one, two) = (route("a", 200), route("b", 200));
    let turned = changes(&before, &parse(&format!("routes:\n{two}{one}")));
    assert_eq!(
        turned.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(),
        ["routes"],
        "the order counts"
    );
}

#[test]
fn each_setting_knows_where_it_comes_from() {
    let environment = Environment::from([("IAP_SERVER__MAX_BODY".into(), "1MiB".into())]);
    let text = "server: {drain: 7s}\nroutes:\n- {name: a, path: /, respond: {status: 200}}\n";
    let config = config::parse("x", text, &environment).expect("valid");
    let all = settings(&config, (text, None), &environment);
    let of = |path: &str| all.iter().find(|setting| setting.path == path).map(|setting| setting.source);
    use settings::Source;
    assert_eq!(of("server.drain"), Some(Source::File));
    assert_eq!(of("server.max_body"), Some(Source::Environment));
    assert_eq!(of("server.listen"), Some(Source::Default));
    assert_eq!(of("routes[a].respond.status"), Some(Source::File));
    assert_eq!(of("routes[a].exact"), Some(Source::Default));
}

#[test]
fn a_file_is_replaced_whole_with_its_mode_and_behind_its_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().expect("a directory");
    let (real, link) = (directory.path().join("real.yaml"), directory.path().join("iap.yaml"));
    fs::write(&real, "old").expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
    symlink("real.yaml", &link).expect("linked");
    drop(Prepared::new(&link, "not taken").expect("prepared"));
    assert_eq!(fs::read_to_string(&real).expect("read"), "old");
    Prepared::new(&link, TEXT).expect("prepared").commit().expect("written");
    assert_eq!(fs::read_to_string(&real).expect("read"), TEXT);
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 2, "nothing is left beside it");
}

#[test]
fn a_trial_ends_when_more_fail_or_an_upstream_has_no_server_any_more() {
    let second = |s: u64, count, errors| iap_apm::LiveSecond {
        start_us: s * 1_000_000,
        count,
        errors,
        p50_us: 0,
        p95_us: 0,
        p99_us: 0,
    };
    let settings = config::RevisionsConfig::default();
    let idle = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let before = [second(95, 50, 1)];
    let begin = || Trial::begin(2, &settings, &before, idle(&["spare"]), 100_000);
    let seconds = |errors| [before[0].clone(), second(101, 20, errors)];
    assert_eq!(begin().look(&seconds(1), &idle(&["spare"])), None, "2 % before, 5 % since then");
    assert_eq!(
        begin().look(&seconds(2), &idle(&[])).as_deref(),
        Some("failed requests: 2.0 % before, 10.0 % since then")
    );
    assert_eq!(begin().look(&[before[0].clone(), second(101, 9, 9)], &idle(&[])), None, "too few");
    let mut trial = begin();
    assert_eq!(trial.look(&before, &idle(&["shop"])), None, "it may be a moment");
    assert_eq!(trial.look(&before, &idle(&[])), None);
    assert_eq!(trial.look(&before, &idle(&["shop", "spare"])), None, "anew");
    let why = trial.look(&before, &idle(&["shop", "spare"])).expect("a reason");
    assert!(why.starts_with("upstream shop has no server ready"), "{why}");
}

#[test]
fn a_preview_touches_one_value_and_nothing_else() {
    let parse = |text: &str| config::parse("x", text, &Environment::new());
    let text = "server:\n  drain: 7s   # as long as a checkout\nroutes:\n\
                - {name: a, path: /, respond: {status: 200}, limits: {total: 3s}}\n\
                - name: b\n  path: /b\n  respond: {status: 200}\n  limits: {total: \"4s\"} # drain: no\n";
    let before = parse(text).expect("valid");
    let edited =
        |path: &str, value: &str| preview(text, (path, value), &before, parse).map(|(edited, _)| edited);
    assert_eq!(edited("server.drain", "9s"), Ok(text.replace("7s", "9s")));
    assert_eq!(edited("routes[a].limits.total", "9s"), Ok(text.replace("3s", "9s")));
    assert_eq!(edited("routes[b].limits.total", "9s"), Ok(text.replace("\"4s\"", "9s")));
    assert_eq!(
        edited("routes[b].respond.status", "204"),
        Ok(text.replace("status: 200}\n", "status: 204}\n"))
    );
    assert_eq!(edited("server.max_body", "1MiB"), Err(NoPreview::NotWritten));
    assert!(matches!(edited("server.drain", "soon"), Err(NoPreview::NotValid(_))));
    assert!(edited("server.drain", "9s}\nadmin: {hosts: [x]").is_err(), "no other setting");
}

#[test]
fn only_what_has_replaced_a_stable_one_can_be_gone_back_from() {
    let mut config = Config::default();
    config.admin.revisions.directory = None;
    let revisions = start(&config, TEXT);
    assert_eq!(revisions.replaced(), None, "the first one");
    let take = |wish: Wish, text: &str| {
        let next = revisions.begin(wish, config.clone(), text.into());
        let number = next.number;
        revisions.runs(Arc::new(next));
        revisions.settle(number, State::Stable, None);
        revisions.changed(number, 7_000 + number);
        number
    };
    assert_eq!(take(wish("more"), "routes: [] # more\n"), 2);
    assert_eq!(revisions.replaced(), Some(RunningRevision { number: 2, parent: 1, since_ms: 7_002 }));
    take(Wish { origin: Origin::Rollback, restores: Some(1), ..wish("less") }, TEXT);
    assert_eq!(revisions.replaced(), None, "a way back has none itself");
    take(wish("again"), "routes: [] # again\n");
    revisions.taken_back();
    assert_eq!(revisions.replaced(), None, "what was taken back is no change to go back from");
}
