use super::{MAX_TEMPLATES, Templates};

#[test]
fn numbers_and_names_do_not_make_a_line_new() {
    let mut templates = Templates::default();
    let new = templates.learn(1, "shop", "order 17 of alice failed: payment refused after 3 s");
    assert_eq!(new.as_deref(), Some("order <*> of alice failed: payment refused after <*> s"));
    assert_eq!(templates.learn(2, "shop", "order 99 of bora failed: payment refused after 12 s"), None);
    assert_eq!(templates.learn(3, "shop", "order 4 of chul failed: payment refused after 1 s"), None);
    assert_eq!(templates.len(), 1);
}

#[test]
fn another_text_or_another_service_is_new() {
    let mut templates = Templates::default();
    assert!(templates.learn(1, "shop", "the payment service refused the connection").is_some());
    assert!(templates.learn(1, "shop", "the database is locked by another writer").is_some());
    assert!(templates.learn(1, "mail", "the payment service refused the connection").is_some());
    assert!(templates.learn(1, "shop", "").is_some());
    assert_eq!(templates.learn(1, "shop", "  "), None, "an empty line is one template too");
}

#[test]
fn there_is_a_limit_and_the_oldest_goes() {
    let mut templates = Templates::default();
    let name = |at: usize| -> String {
        at.to_string().chars().map(|digit| char::from(b'a' + digit as u8 - b'0')).collect()
    };
    for at in 0..=MAX_TEMPLATES {
        assert!(templates.learn(at as u64, "shop", &format!("{} failed", name(at))).is_some());
    }
    assert_eq!(templates.len(), MAX_TEMPLATES);
    assert!(templates.learn(9_999, "shop", &format!("{} failed", name(0))).is_some(), "it was forgotten");
    assert!(templates.learn(9_999, "shop", &format!("{} failed", name(MAX_TEMPLATES))).is_none());
}
