use std::collections::BTreeSet;

use super::{Sentence, Unit, figure, sentence_text, templates, terms};
use crate::question::Language;
use crate::zone::Zone;

fn names(template: &str) -> BTreeSet<&str> {
    template.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn a_template_says_the_same_in_both_languages() {
    for (name, korean, english) in templates::all() {
        assert_eq!(names(korean), names(english), "{name}");
    }
}

#[test]
fn every_term_is_known_and_once() {
    assert!(terms::known("p95") && !terms::known("p94"));
    let all = templates::all();
    let once: BTreeSet<_> = all.iter().map(|(name, ..)| name).collect();
    assert_eq!(once.len(), all.len());
}

#[test]
fn a_value_with_braces_stays_as_it_is() {
    let figures = [
        figure("span", "{service}", Unit::Code),
        figure("service", "a", Unit::Text),
        figure("error", "x}{y", Unit::Text),
    ];
    let said = Sentence::new("failed_span", figures);
    let text = sentence_text(&said, Language::English, &Zone::default());
    assert_eq!(text, "It failed first in `{service}` (a): \"x}{y\".");
}
