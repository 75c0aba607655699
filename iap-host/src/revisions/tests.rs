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

fn add(store: &mut Store, state: State, keep: usize) -> u64 {
    let (number, kept) = store.add(revision(wish("more"), None, "hash", state), TEXT, keep);
    kept.expect("kept");
    number
}

#[test]
fn the_same_configuration_is_the_same_revision_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path());
    let number = |config: &Config, text: &str| Revisions::start(config, text, None).running().number;
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
    let revisions = Revisions::start(&config, TEXT, None);
    assert_eq!(revisions.begin(wish("faster"), &config, "routes: [] # faster\n"), 2);
    // Nobody has said what became of it.
    drop(revisions);
    let store = Store::open(Some(directory.path())).expect("read");
    assert_eq!(store.last_stable().map(|stable| stable.number), Some(1));
    let kept = fs::read_to_string(directory.path().join("0000000002.json")).expect("a file");
    assert!(kept.contains("\"interrupted\"") && kept.contains("faster"), "{kept}");
    assert_eq!(Revisions::start(&config, TEXT, None).running().number, 1);
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
        let revisions = Revisions::start(&config, TEXT, None);
        let number = revisions.begin(wish("more"), &config, "routes: [] # more\n");
        revisions.settle(number, State::Stable, None);
        let text = revisions.0.store.lock().text(number).expect("known");
        assert_eq!(text.as_deref(), Some("routes: [] # more\n"));
    }
}
