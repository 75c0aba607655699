use crate::config::{Environment, parse};

fn with(split: &str) -> Result<(), String> {
    let text = format!(
        "upstreams:\n  old: {{servers: [http://127.0.0.1:1]}}\n  new: {{servers: [http://127.0.0.1:2]}}\n\
         routes:\n  - {{name: a, path: /, {split}}}\n"
    );
    parse("iap.yaml", &text, &Environment::new()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn each_way_to_choose_is_read() {
    for by in ["", "by: client, ", "by: user, ", "by: 'header: x-tenant', ", "by: 'cookie: visitor', "] {
        with(&format!(
            "split: {{{by}variants: [{{upstream: old, weight: 9}}, {{upstream: new, weight: 1}}]}}"
        ))
        .unwrap();
    }
}

#[test]
fn what_cannot_work_is_an_error_at_its_route() {
    let both = "variants: [{upstream: old, weight: 9}, {upstream: new, weight: 1}]";
    for (split, remedy) in [
        ("split: {variants: []}".to_owned(), "2 to 64 variants"),
        ("split: {variants: [{upstream: old, weight: 1}]}".to_owned(), "2 to 64 variants"),
        (
            "split: {variants: [{upstream: old, weight: 0}, {upstream: new, weight: 0}]}".to_owned(),
            "above zero",
        ),
        (
            "split: {variants: [{upstream: old, weight: 1}, {upstream: old, weight: 1}]}".to_owned(),
            "named `old`",
        ),
        (
            "split: {variants: [{upstream: old, weight: 1}, {upstream: gone, weight: 1}]}".to_owned(),
            "no upstream `gone`",
        ),
        ("split: {variants: [{upstream: old, weight: -1}, {upstream: new, weight: 1}]}".to_owned(), ""),
        (format!("split: {{by: moon, {both}}}"), "write client, user"),
        (format!("split: {{by: 'header:', {both}}}"), "write client, user"),
        (format!("split: {{by: 'client: x', {both}}}"), "write client, user"),
        (format!("split: {{by: 'header: x y', {both}}}"), "`x y` is no field"),
        (format!("split: {{by: 'sticky: a;b', {both}}}"), "letters, digits"),
        (format!("split: {{by: user, {both}}}, session: off"), "split.by: user needs `auth`, or sessions"),
        (format!("split: {{{both}}}, upstream: old"), "more than one of"),
        (format!("split: {{{both}, until: noon}}"), "unknown field `until`"),
    ] {
        let error = with(&split).unwrap_err();
        assert!(error.starts_with("iap.yaml:5:") && error.contains(remedy), "{split}: {error}");
    }
}
