use iap_session::RecordAddress;

use crate::config::{Config, Environment, EventsConfig, parse};

fn read(text: &str) -> Result<Config, String> {
    parse("iap.yaml", text, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn addresses_are_recorded_in_full_masked_or_not() {
    assert_eq!(read("{}").unwrap().sessions.record_address.0, RecordAddress::Masked);
    for (text, wanted) in
        [("true", RecordAddress::Full), ("false", RecordAddress::Off), ("masked", RecordAddress::Masked)]
    {
        let config = read(&format!("sessions: {{record_address: {text}}}\n")).unwrap();
        assert_eq!(config.sessions.record_address.0, wanted);
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
        let environment = [("IAP_SESSIONS__RECORD_ADDRESS".to_owned(), text.to_owned())].into();
        let config = parse("iap.yaml", "{}", &environment).unwrap();
        assert_eq!(config.sessions.record_address.0, wanted);
    }
    for wrong in ["half", "3", "[]"] {
        let error = read(&format!("sessions:\n  record_address: {wrong}\n")).unwrap_err();
        assert!(error.starts_with("iap.yaml:2:19: ") && error.contains("`masked`"), "{error}");
    }
}

#[test]
fn a_node_has_a_name() {
    assert_eq!(read("sessions: {node: gateway-1}\n").unwrap().sessions.node.as_deref(), Some("gateway-1"));
    for wrong in [String::new(), "x".repeat(65), "a\\nb".to_owned()] {
        let error = read(&format!("sessions: {{node: \"{wrong}\"}}\n")).unwrap_err();
        assert!(error.contains("sessions.node: "), "{error}");
    }
}

#[test]
fn events_are_bounded() {
    let events = |text: &str| read(&format!("sessions: {{events: {text}}}\n"));
    assert_eq!(events("{keep: 50}").unwrap().sessions.events, EventsConfig { enabled: true, keep: 50 });
    assert!(!events("{enabled: false}").unwrap().sessions.events.enabled);
    for wrong in ["{keep: 0}", "{keep: 1000001}"] {
        assert!(events(wrong).unwrap_err().contains("sessions.events.keep: "));
    }
    assert!(events("{kep: 1}").unwrap_err().contains("did you mean `keep`"));
}

#[test]
fn the_token_of_revocations_is_a_reference_and_needs_events() {
    let sessions = |text: &str| read(&format!("sessions: {text}\n"));
    let config = sessions("{revocations: {token: {env: TOKEN}}}").unwrap();
    assert_eq!(config.sessions.revocations.token, Some(crate::config::SecretRef::Env("TOKEN".into())));
    let error = sessions("{revocations: {token: hunter2}}").unwrap_err();
    assert!(error.contains("by reference") && !error.contains("hunter2"), "{error}");
    let error = sessions("{events: {enabled: false}, revocations: {token: {env: TOKEN}}}").unwrap_err();
    assert!(error.contains("sessions.revocations.token: "), "{error}");
}
