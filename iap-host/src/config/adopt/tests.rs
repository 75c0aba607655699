use crate::config::{Environment, parse};

fn parsed(adopt: &str) -> Result<crate::config::Config, String> {
    let text = format!("sessions:\n  adopt: {{{adopt}}}\n");
    parse("iap.yaml", &text, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn each_source_has_its_own_habits() {
    let config = parsed("from: spring, source: 'redis://old:6379/2'").unwrap();
    let adopt = config.sessions.adopt.unwrap();
    assert_eq!((adopt.from.cookie(), adopt.from.prefix()), ("SESSION", "spring:session"));
    assert_eq!(adopt.remember.0.as_secs(), 30 * 24 * 3600);
    for other in [
        "from: spring-indexed, source: 'rediss://old', prefix: 'shop:session', cookie: SHOP",
        "from: connect, source: 'redis://old', secrets: [{env: A}, {file: b}], user: user.name",
        "from: tower, source: 'unix:///run/redis.sock', username: app, password: {env: P}",
        "from: redisson, source: 'redis-cluster://old:6379'",
        "from: tomcat, source: /srv/tomcat/sessions, remember: 7d, timeout: 2s, unknown_for: 1m",
    ] {
        parsed(other).unwrap();
    }
}

#[test]
fn what_cannot_work_is_refused() {
    for (adopt, remedy) in [
        ("from: connect, source: 'redis://old'", "sessions.adopt.secrets: those that the old cookies"),
        ("from: spring, source: 'redis://old', secrets: [{env: A}]", "only cookies of `from: connect`"),
        ("from: spring, source: 'redis://:hunter2@old'", "use username and password"),
        ("from: spring, source: 'redis://old', username: app", "needs a password"),
        ("from: spring, source: 'http://old'", "sessions.adopt.source: write redis://"),
        ("from: spring, source: /srv/sessions", "sessions.adopt.source: write redis://"),
        ("from: tomcat, source: 'redis://old'", "the directory of the FileStore"),
        ("from: tomcat, source: ''", "the directory of the FileStore"),
        ("from: tomcat, source: /x, username: app", "a directory has no username"),
        ("from: spring, source: 'redis://old', cookie: 'a b'", "is no cookie name"),
        ("from: spring, source: 'redis://old', timeout: 0s", "longer than zero"),
    ] {
        let message = parsed(adopt).unwrap_err();
        assert!(message.contains(remedy) && !message.contains("hunter2"), "{adopt}: {message}");
    }
}
