use include_dir::{Dir, include_dir};

static CORPUS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../fuzz/corpus/config");

#[test]
fn a_configuration_is_taken_or_refused_with_words_whatever_it_is() {
    assert!(CORPUS.files().count() > 10, "the corpus is where it was expected");
    for file in CORPUS.files() {
        let result = std::panic::catch_unwind(|| super::config(file.contents()));
        assert!(result.is_ok(), "{} breaks what must hold", file.path().display());
    }
}
