use std::time::Duration;

use iap_core::process::ProcessSettings;
use iap_core::upstream::{Sticky, UpstreamSettings};

use super::*;
use crate::config::{Config, Environment, parse};

fn read(process: &str) -> Result<ProcessConfig, String> {
    let text = format!("routes:\n  - name: app\n    process: {process}\n");
    let config = parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())?;
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
    Ok(*config.routes.into_iter().next().unwrap().process.unwrap())
}

fn settings(config: &ProcessConfig) -> ProcessSettings {
    config.settings(|reference| Ok(format!("<{reference:?}>"))).unwrap()
}

#[test]
fn the_defaults_are_those_of_the_core() {
    let config = read("{command: [a]}").unwrap();
    let (ours, core) = (settings(&config), ProcessSettings::new(["a"]));
    assert_eq!((&ours.ready, &ours.restart, &ours.stop), (&core.ready, &core.restart, &core.stop));
    assert_eq!((&ours.command, ours.instances, ours.limits), (&core.command, core.instances, core.limits));
    let upstream = config.upstream().unwrap();
    assert_eq!(format!("{upstream:?}"), format!("{:?}", UpstreamSettings::default()));
}

#[test]
fn a_command_is_a_list_or_a_text_that_is_split() {
    let command = |text: &str| settings(&read(&format!("{{command: {text}}}")).unwrap()).command;
    assert_eq!(command("[java, -jar, 'my app.jar']"), ["java", "-jar", "my app.jar"]);
    assert_eq!(
        command(r#"java -Dx="a b" -jar 'my app.jar' $HOME"#),
        ["java", "-Dx=a b", "-jar", "my app.jar", "$HOME"]
    );
}

#[test]
fn all_settings_reach_the_core() {
    let config = read(
        "
      command: [app, '{port}']
      env: {MODE: prod, DEBUG: false, LEVEL: 3, VERSION: '1.10', PASSWORD: {env: SECRET}}
      directory: /srv
      user: app
      instances: 2
      ready: {path: /health, expect: '204', timeout: 5s}
      restart: {min: 1s, max: 2s, reset_after: 3s}
      stop: {signal: INT, timeout: 4s, drain: 5s}
      limits: {open_files: 10, address_space: 1GiB, processes: 20, memory: 512MiB, cpu: 1.5, pids: 100, required: true}
      start_timeout: 6s
      sticky: {cookie: node}
      response_timeout: 7s
      body_timeout: 8s",
    )
    .unwrap();
    let settings = settings(&config);
    let env: Vec<String> = settings.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["DEBUG=false", "LEVEL=3", "MODE=prod", "PASSWORD=<Env(\"SECRET\")>", "VERSION=1.10"]);
    assert_eq!((settings.directory, settings.user.as_deref()), (Some("/srv".into()), Some("app")));
    assert_eq!((settings.instances, settings.ready.expect), (2, 204..=204));
    assert_eq!(settings.ready.path.unwrap(), "/health");
    assert_eq!((settings.stop.signal.as_str(), settings.stop.drain), ("INT", Duration::from_secs(5)));
    assert_eq!(settings.restart.reset_after, Duration::from_secs(3));
    let limits = settings.limits;
    assert_eq!((limits.address_space, limits.memory), (Some(1 << 30), Some(512 << 20)));
    assert_eq!((limits.cpu_millis, limits.pids, limits.required), (Some(1500), Some(100), true));
    let upstream = config.upstream().unwrap();
    assert_eq!(upstream.sticky, Some(Sticky::Cookie { name: "node".into() }));
    assert_eq!(upstream.start_wait, Some(Duration::from_secs(6)));
    assert_eq!((upstream.response_timeout.as_secs(), upstream.body_idle.as_secs()), (7, 8));
}

#[test]
fn what_is_wrong_has_a_place_and_a_remedy() {
    for (process, expected) in [
        ("{}", "missing field `command`"),
        ("{command: []}", "write a program"),
        ("{command: ''}", "write a program"),
        ("{command: \"a 'b\"}", "a quote is not closed"),
        ("{command: {a: b}}", "a command, like"),
        ("{command: a, instances: 0}", "instances: 0"),
        ("{command: a, comand: b}", "did you mean `command`?"),
        ("{command: a, ready: {path: health}}", "ready.path must begin with `/`"),
        ("{command: a, ready: {expect: ok}}", "ready.expect"),
        ("{command: a, ready: {timeout: 0s}}", "ready.timeout"),
        ("{command: a, restart: {min: 1m}}", "restart.max"),
        ("{command: a, stop: {signal: NO}}", "`NO` is no signal"),
        ("{command: a, limits: {memory: 0B}}", "nothing runs without memory"),
        ("{command: a, limits: {pids: 0}}", "nothing runs without a process"),
        ("{command: a, limits: {cpu: 0}}", "limits.cpu: write cores"),
        ("{command: a, limits: {cpu: -1}}", "limits.cpu: write cores"),
        ("{command: a, limits: {cpu: .nan}}", "limits.cpu: write cores"),
        ("{command: a, limits: {required: true}}", "set one of them"),
        ("{command: a, env: {V: 1.10}}", "into quotes"),
        ("{command: a, env: {V: {vault: x}}}", "`{env: NAME}` or `{file: PATH}`"),
        ("{command: a, env: {'A=B': x}}", "`A=B` is no name"),
        ("{command: '{port} {socket}'}", "not on both"),
        ("{command: a, response_timeout: 0s}", "response_timeout"),
        ("{command: a}\n    files: x", "more than one of"),
    ] {
        let error = read(process).unwrap_err();
        assert!(error.contains(expected), "{process}: {error}");
        assert!(error.starts_with("iap.yaml:"), "{error}");
    }
}
