use std::collections::BTreeSet;
use std::sync::Arc;

use iap_apm::{SqliteHistory, SqliteOptions};

use super::super::PROPOSE;
use super::*;
use crate::actions::{KINDS, SessionFilter};
use crate::{Assistant, Live};

/// One of each kind.
fn examples() -> Vec<Action> {
    let (upstream, server) = ("shop".to_owned(), "10.0.0.7:80".to_owned());
    let filter = SessionFilter {
        user: Some("kim".to_owned()),
        address: Some("10.0.0.0/8".to_owned()),
        node: Some("a".to_owned()),
        route: Some("shop".to_owned()),
    };
    vec![
        Action::Drain { upstream: upstream.clone(), server: server.clone() },
        Action::Undrain { upstream: upstream.clone(), server: server.clone() },
        Action::Weight { upstream, server, from: 1, to: 5 },
        Action::Limit { setting: "routes[shop].limits.in_flight".to_owned(), from: 100, to: 50 },
        Action::Restart { process: "app".to_owned() },
        Action::Rollback { from: 9, to: 7 },
        Action::EndSessions { filter },
    ]
}

fn read(arguments: Value) -> Result<Action, String> {
    let history = Arc::new(SqliteHistory::temporary(SqliteOptions::default()).unwrap());
    let assistant = Assistant::new(Arc::new(Live::new(history)));
    let given = Arguments::read(&PROPOSE, arguments.as_object().cloned().unwrap(), &assistant)?;
    action(&given).map_err(|refused| match refused {
        Refused::Arguments(text) => text,
        Refused::Telemetry(error) => error.to_string(),
    })
}

#[test]
fn what_can_be_done_can_be_proposed_and_nothing_else() {
    let unknown = serde_json::from_value::<Action>(json!({ "kind": "?" })).unwrap_err().to_string();
    let there_are: BTreeSet<&str> = unknown.split('`').skip(3).step_by(2).collect();
    assert_eq!(there_are, KINDS.into_iter().collect(), "{unknown}");
    let names: Vec<String> =
        examples().iter().map(|one| json!(one)["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), there_are, "an example of each");
    for example in examples() {
        let mut arguments = json!(example);
        let kind = arguments["kind"].take();
        if let Value::Object(filter) = arguments["filter"].take() {
            arguments.as_object_mut().unwrap().extend(filter);
        }
        arguments.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let help = format!("{}:", kind.as_str().unwrap());
        assert!(PROPOSE.help.contains(&help) || PROPOSE.help.contains("drain, undrain:"), "{help}");
        arguments["action"] = kind;
        arguments["why"] = json!("it is ill");
        arguments["incident"] = json!(7);
        assert_eq!(read(arguments), Ok(example));
    }
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let says = |arguments: Value| read(arguments).unwrap_err();
    let missing = says(json!({ "action": "weight", "why": "x", "upstream": "shop", "server": "a" }));
    assert_eq!(missing, "`from`: weight needs it");
    let more = says(json!({ "action": "restart", "why": "x", "process": "app", "server": "a" }));
    assert!(more.contains("unknown field `server`"), "{more}");
    assert!(says(json!({ "action": "erase", "why": "x" })).contains("one of drain, undrain"));
}
