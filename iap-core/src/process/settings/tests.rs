use super::*;

/// What a case does to settings that are fine.
type Change = fn(&mut ProcessSettings);

#[test]
fn contradictions_are_named() {
    let message = |change: Change| {
        let mut settings = ProcessSettings::new(["sh"]);
        change(&mut settings);
        settings.check().map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    assert_eq!(message(|_| {}), "");
    for good in ["SIGINT", "quit", "Term"] {
        assert!(signal(good).is_ok(), "{good}");
    }
    let cases: [(Change, &str); 10] = [
        (|settings| settings.command.clear(), "write a program"),
        (|settings| settings.command.push("a\0b".into()), "zero byte"),
        (|settings| settings.env.push(("A=B".into(), String::new())), "`A=B` is no name"),
        (|settings| settings.env.push((super::super::guard::MARKER.into(), String::new())), "is no name"),
        (|settings| settings.instances = 0, "instances: 0"),
        (|settings| settings.instances = 65, "from 1 to 64"),
        (|settings| settings.command = vec!["{port}".into(), "{socket}".into()], "not on both"),
        (|settings| settings.ready.timeout = Duration::ZERO, "ready.timeout"),
        (|settings| settings.restart.min = Duration::from_secs(31), "restart.max"),
        (|settings| settings.stop.signal = "SIGNAL".into(), "`SIGNAL` is no signal"),
    ];
    for (change, expected) in cases {
        let message = message(change);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_the_system_lacks_is_named() {
    let message =
        |settings: ProcessSettings| settings.check_system().map_err(|error| error.to_string()).err();
    assert_eq!(message(ProcessSettings::new(["sh"])), None);
    assert_eq!(message(ProcessSettings::new(["/bin/sh"])), None);
    assert!(message(ProcessSettings::new(["no-such-program"])).unwrap().contains("`no-such-program`"));
    assert!(message(ProcessSettings::new(["./sh"])).unwrap().contains("`./sh`"));
    let in_bin = ProcessSettings { directory: Some("/bin".into()), ..ProcessSettings::new(["./sh"]) };
    assert_eq!(message(in_bin), None);
    let nowhere = ProcessSettings { directory: Some("/no/such".into()), ..ProcessSettings::new(["sh"]) };
    assert!(message(nowhere).unwrap().contains("/no/such is not a directory"));
    assert!(find_user("no such user").is_err());
}

#[test]
fn secrets_are_not_shown() {
    let mut settings = ProcessSettings::new(["sh", "--password=secret"]);
    settings.env.push(("PASSWORD".into(), "secret".into()));
    assert!(!format!("{settings:?}").contains("secret"));
}
