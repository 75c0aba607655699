use super::*;
use crate::config::{Config, Environment, parse, parse_all, parse_as};

const BLUE: &str = "6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e5f";
const GREEN: &str = "0b9d5e2a-7b1c-4d4e-8f6f-1c2f0e8f434c";

/// Two instances with all layers.
fn two() -> String {
    format!(
        "\
profiles:
  busy:
    server: {{max_connections: 7, workers: 1}}
    log:
      level: warn
  quiet: {{log: {{level: error}}, server: {{drain: 9s}}}}
use: [busy]
server:
  workers: 2   # all of them
  drain: 3s
routes:
  - {{name: a, respond: {{status: 204}}}}
instances:
  # The old one.
  blue:
    id: {BLUE}
    settings:
      server: {{listen: '127.0.0.1:8081', drain: 5s}}
      admin: {{listen: '127.0.0.1:9901'}}
      sessions: {{enabled: false}}
      apm: {{enabled: false}}

  # The new one.
  green:
    id: {GREEN}
    use: [quiet]
    settings:
      server: {{listen: '127.0.0.1:8082'}}
      admin: {{listen: '127.0.0.1:9902'}}
      sessions: {{enabled: false}}
      apm: {{enabled: false}}
"
    )
}

fn of(text: &str, instance: &str) -> Config {
    parse_as("x", text, Some(instance), &Environment::new()).unwrap_or_else(|error| panic!("{error}")).config
}

fn refused(text: &str, instance: Option<&str>) -> String {
    parse_as("x", text, instance, &Environment::new()).unwrap_err().to_string()
}

#[test]
fn the_stronger_layer_counts() {
    let (blue, green) = (of(&two(), "blue"), of(&two(), "green"));
    let drains = |config: &Config| config.server.drain.0.as_secs();
    assert_eq!((drains(&blue), drains(&green)), (5, 3), "instance over file over profile");
    assert_eq!((blue.server.workers, green.server.workers), (Some(2), Some(2)), "file over profile");
    assert_eq!(
        (blue.log.level.as_str(), green.log.level.as_str()),
        ("warn", "error"),
        "a profile of its own is stronger"
    );
    assert_eq!(blue.server.max_connections, 7);
    assert_eq!(blue.routes.len(), 1);
    let environment = Environment::from([("IAP_SERVER__DRAIN".to_owned(), "1s".to_owned())]);
    let over = parse_as("x", &two(), Some("blue"), &environment).unwrap();
    assert_eq!(drains(&over.config), 1, "the environment over all");
    let told = over.instance.unwrap();
    assert_eq!(
        (told.name.as_str(), told.id.as_str(), told.profiles),
        ("blue", BLUE, vec!["busy".to_owned()])
    );
}

#[test]
fn an_instance_has_its_own_name_and_directories() {
    let green = of(&two(), "green");
    assert_eq!(green.sessions.node.as_deref(), Some("green"));
    assert_eq!(green.reports.directory.to_str(), Some("data/green/reports"));
    assert_eq!(
        green.admin.revisions.directory.as_deref().and_then(|path| path.to_str()),
        Some("data/green/revisions")
    );
    let named = two().replace("  green:\n", "  green:\n    # its own\n").replace(
        "    use: [quiet]\n    settings:\n",
        "    use: [quiet]\n    settings:\n      sessions: {enabled: false, node: gw}\n      reports: {directory: r}\n",
    );
    let named = named.replacen("      sessions: {enabled: false}\n      apm: {enabled: false}\n\n", "\n", 1);
    let named = named.replace("'127.0.0.1:9902'}\n      sessions: {enabled: false}\n", "'127.0.0.1:9902'}\n");
    let named = named.replace(
        "'127.0.0.1:9901'}\n",
        "'127.0.0.1:9901'}\n      sessions: {enabled: false}\n      apm: {enabled: false}\n",
    );
    let green = of(&named, "green");
    assert_eq!((green.sessions.node.as_deref(), green.reports.directory.to_str()), (Some("gw"), Some("r")));
}

#[test]
fn a_text_without_layers_means_what_it_meant() {
    for text in
        ["", "# nothing\n", "server: {drain: 3s}\n", "upstreams:\n  shop: {servers: ['127.0.0.1:1']}\n"]
    {
        let whole: Config =
            if text.contains(':') { crate::config::parse::typed(text).unwrap() } else { Config::default() };
        assert_eq!(parse("x", text, &Environment::new()).unwrap(), whole);
        assert!(refused(text, Some("blue")).contains("no instances, so there is no `blue`"));
    }
}

#[test]
fn profiles_without_instances_are_layers_too() {
    let text = "profiles: {busy: {server: {workers: 3, drain: 8s}}}\nuse: [busy]\nserver: {drain: 2s}\n";
    let config = parse("x", text, &Environment::new()).unwrap();
    assert_eq!((config.server.workers, config.server.drain.0.as_secs()), (Some(3), 2));
    assert_eq!(config.reports.directory.to_str(), Some("data/reports"), "nothing has a name here");
}

#[test]
fn values_mean_the_same_through_layers_as_in_a_plain_text() {
    let settings = "\
log: &log
  level: \"info,iap_core=debug\"
  format: json
sessions:
  node: !!str 007
  groups: {on: {max_per_user: 2}, '1.10': {max_per_user: 3}, 'null': {max_per_user: 4}, 'true': {max_per_user: 5}}
upstreams:
  shop:
    servers:
    - http://127.0.0.1:1
    - 'http://127.0.0.1:2'
routes:
- name: text
  respond:
    status: 200
    body: |
      first: {x}
        # second
      \"third\" \\ é 🦀

- name: folded
  path: \"/a\\u00e9\"
  respond: {status: 200, body: >-
    one
    two}
- {name: long, path: /l, respond: {status: 200, body: plain text
    on two lines}}
";
    let settings = settings.replace("body: >-\n    one\n    two}", "body: 'one # two: three'}");
    let plain = parse("x", &settings, &Environment::new()).unwrap_or_else(|error| panic!("{error}"));
    let indented: String = settings.lines().map(|line| format!("    {line}\n")).collect();
    let layered = format!("profiles:\n  all:\n{indented}use: [all]\n");
    assert_eq!(parse("x", &layered, &Environment::new()).unwrap_or_else(|error| panic!("{error}")), plain);
    assert_eq!(plain.routes[0].name, "text");
}

#[test]
fn anchors_and_merged_blocks_go_through_layers() {
    let text = "\
profiles:
  base: {server: &s {drain: 4s, workers: 2}}
  more: {log: {level: warn}}
use: [base, more]
routes:
  - &r {name: a, respond: {status: 200}}
  - {<<: *r, name: b, path: /b}
";
    let config = parse("x", text, &Environment::new()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.server.drain.0.as_secs(), 4);
}

#[test]
fn errors_name_the_place_in_the_file_and_the_remedy() {
    let cases = [
        (
            "    log:\n      level: warn",
            "    log:\n      levle: warn",
            "x:5:7: unknown field `levle`",
            "`level`",
        ),
        ("workers: 1}", "workers: one}", "x:3:43: ", "a whole number"),
        ("  drain: 3s", "  drain: soon", "x:10:10: ", "not a duration"),
        ("drain: 5s}", "drani: 5s}", "x:18:42: unknown field `drani`", "`drain`"),
        ("{name: a, respond: {status: 204}}", "{name: a}", "x:12:", "leads nowhere"),
        ("use: [busy]", "use: [bussy]", "x:7:7: ", "did you mean `busy`?"),
        ("use: [busy]", "use: busy", "x:7:6: ", "a list"),
        ("use: [quiet]", "use: [quiet, quiet]", "x:26:18: ", "twice"),
        ("    use: [quiet]", "    uses: [quiet]", "x:26:5: unknown field `uses`", "`use`"),
        (BLUE, "blue", "x:16:9: ", "a UUID"),
        (&format!("    id: {GREEN}\n"), "", "x:2", "missing field `id`"),
        ("  green:", "  gr een:", "x:24:3: ", "letters, digits"),
        ("  quiet: {", "  quiet: {use: [busy], ", "x:6:11: ", "has settings alone"),
        ("profiles:\n", "profiles: []\nold:\n", "x:1:11: ", "a block"),
    ];
    for (from, to, place, remedy) in cases {
        assert!(two().contains(from), "{from}");
        let message = refused(&two().replacen(from, to, 1), Some("blue"));
        assert!(message.starts_with(place) && message.contains(remedy), "{from} → {to}: {message}");
    }
}

#[test]
fn what_is_wrong_with_another_instance_is_an_error_as_well() {
    let text = two().replace("'127.0.0.1:8082'", "here");
    let message = refused(&text, Some("blue"));
    assert!(message.starts_with("x:28:24: instance `green`: not an address"), "{message}");
    // Nobody uses it, and it is read all the same.
    let text = two().replace("use: [quiet]", "use: []").replace("drain: 9s", "drain: 9 parsecs");
    assert!(refused(&text, Some("blue")).starts_with("x:6:48: "), "{}", refused(&text, Some("blue")));
}

#[test]
fn a_name_is_needed_where_there_are_instances_and_the_nearest_one_is_told() {
    let none = refused(&two(), None);
    assert!(none.contains("`--instance NAME`") && none.contains("`blue`, `green`"), "{none}");
    assert!(refused(&two(), Some("gren")).contains("did you mean `green`?"));
    assert_eq!(parse_all("x", &two(), &Environment::new()).unwrap().len(), 2);
}

#[test]
fn profiles_of_one_list_agree_or_are_told_with_both_places() {
    let text =
        "profiles:\n  a: {log: {level: warn}}\n  b: {log: {level: warn}, server: {drain: 1s}}\nuse: [a, b]\n";
    parse("x", text, &Environment::new()).expect("they say the same");
    for (first, second, setting) in [("2:20", "3:20", "log.level"), ("2:12", "3:12", "log")] {
        let value = if setting == "log" { "null" } else { "{level: info}" };
        let text = format!("profiles:\n  a: {{log: {{level: warn}}}}\n  b: {{log: {value}}}\nuse: [a, b]\n");
        let message = match Document::read(&text).unwrap().unwrap().merged(None) {
            Err(wrong) => wrong.message,
            Ok(_) => panic!("{value} does not agree"),
        };
        let both = format!("profiles `a` ({first}) and `b` ({second}) set {setting} to different values");
        assert!(message.starts_with(&both), "{message}");
    }
}

#[test]
fn instances_on_one_machine_share_no_listener_directory_or_id() {
    let cases = [
        (
            "127.0.0.1:8082",
            "0.0.0.0:8081",
            "x:28:",
            "both listen on port 8081: give `green` another server.listen",
        ),
        (
            "127.0.0.1:9902",
            "127.0.0.1:8081",
            "x:29:",
            "give `green` another admin.listen, as server.listen there",
        ),
        (GREEN, BLUE, "x:24:3: ", "have the same id"),
    ];
    for (from, to, place, remedy) in cases {
        let message = refused(&two().replacen(from, to, 1), Some("blue"));
        assert!(message.starts_with(place) && message.contains(remedy), "{from} → {to}: {message}");
    }
    let shared =
        two().replace("log:\n      level: warn", "reports: {directory: ./r}\n    log: {level: warn}");
    let message = refused(&shared, Some("blue"));
    assert!(
        message.contains("both write ./r, by reports.directory") && message.contains("data/green/r"),
        "{message}"
    );
    // On another machine the same ports are free.
    let away = two().replacen("127.0.0.1:8082", "0.0.0.0:8081", 1);
    let away =
        away.replace("    use: [quiet]\n", "    use: [quiet]\n    admin: {url: 'http://10.0.0.7:9902'}\n");
    assert_eq!(of(&away, "green").server.listen.port(), 8081);
}

#[test]
fn each_setting_says_whose_word_it_is() {
    let text = two();
    let sources = Sources::new(&text, Some("green"));
    let layer = |path: &str| {
        let path: Vec<&str> = path.split('.').collect();
        sources.root().unwrap().at(&path).map(|node| sources.layer(node))
    };
    assert_eq!(layer("server.max_connections"), Some(Layer::Profile("busy".into())));
    assert_eq!(layer("log.level"), Some(Layer::Profile("quiet".into())));
    assert_eq!(layer("server.workers"), Some(Layer::File));
    assert_eq!(layer("server.listen"), Some(Layer::Instance));
    assert_eq!(layer("sessions.node"), Some(Layer::Instance));
    assert_eq!(layer("server.max_body"), None);
}

#[test]
fn an_instance_is_put_in_and_taken_out_and_all_else_stays() {
    let text = two();
    let settings = serde_json::json!({ "server": { "listen": "127.0.0.1:8083" }, "admin": { "listen": "127.0.0.1:9903" } });
    let id = "11111111-2222-4333-8444-555555555555";
    let new = Entry { name: "red", id, settings: &settings, url: None };
    let with = insert(&text, Some("blue"), &new).unwrap();
    let red = of(&with, "red");
    assert_eq!(
        (red.server.listen.port(), red.server.drain.0.as_secs()),
        (8083, 5),
        "like blue, but for what is new"
    );
    assert_eq!(of(&with, "green"), of(&text, "green"));
    let (head, tail) = text.split_at(text.find("\n  # The new one.").unwrap());
    assert!(with.starts_with(head) && with.ends_with(tail), "{with}");
    assert_eq!(remove(&with, "red").unwrap(), text);
    // The last of a text without a line break at its end.
    let with = insert(text.trim_end(), Some("green"), &new).unwrap();
    assert_eq!(of(&with, "red").log.level, "error", "profiles come along");
    assert_eq!(remove(&with, "red").unwrap(), text);
    let without = remove(&text, "green").unwrap();
    assert_eq!(parse_all("x", &without, &Environment::new()).unwrap().len(), 1);
    assert!(remove(&text, "pink").is_err());
    let flow = "instances: {a: {id: 6f1c2f0e-8f43-4c0b-9d5e-2a7b1c3d4e5f}}\n";
    assert!(remove(flow, "a").unwrap_err().message.contains("lines of its own"));
}

#[test]
fn a_text_that_grows_without_end_is_refused() {
    let mut text = "profiles: {x: {}}\na0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n".to_owned();
    for level in 1..9 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{list}]\n");
    }
    assert!(!refused(&text, None).is_empty());
    let deep = format!("profiles: {{x: {}1{}}}\n", "[".repeat(200), "]".repeat(200));
    assert!(!refused(&deep, None).is_empty());
}

#[test]
fn the_example_of_the_documentation_is_read_and_fits_the_schema() {
    let page = include_str!("../../../../docs/instances.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let all = parse_all("docs/instances.md", example, &Environment::new()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(all.iter().map(|one| one.config.routes.len()).collect::<Vec<_>>(), [1, 1]);
    let value: serde_json::Value = serde_saphyr::from_str(example).unwrap();
    let schema = jsonschema::validator_for(&crate::config::schema()).unwrap();
    let wrong: Vec<String> =
        schema.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let unknown = serde_json::json!({ "instances": { "a": { "id": "x", "prots": {} } } });
    assert!(!schema.is_valid(&unknown));
}
