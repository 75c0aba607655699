use std::path::Path;

/// Runs a target over the corpus that fuzzing has left.
fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        let result = std::panic::catch_unwind(|| target(&data));
        assert!(result.is_ok(), "{} breaks what must hold", path.display());
        count += 1;
    }
    assert!(count > 10, "the corpus is where it was expected");
}

#[test]
fn the_gate_holds_over_its_corpus() {
    replay("gate", super::gate);
}

#[test]
fn the_router_agrees_with_a_search_through_all_routes() {
    replay("router", super::router);
}

#[test]
fn clients_behind_proxies_are_told_the_same_way_however_it_is_said() {
    replay("clients", super::clients);
}

#[test]
fn a_stream_is_judged_the_same_however_it_is_cut() {
    replay("scan", super::scan);
}
