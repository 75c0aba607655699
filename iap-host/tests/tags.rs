//! Tags of the admin API: whoever has an answer is not sent it again, and nobody has one that is another's.

mod common;

use std::net::SocketAddr;

use common::accounts::{self, Person};
use common::http::{Response, get, send};
use common::{Host, eventually};

fn ask(address: SocketAddr, method: &str, path: &str, known: &[&str]) -> Response {
    let fields: Vec<_> = known.iter().map(|tag| ("if-none-match", *tag)).collect();
    send(address, method, path, &fields, b"").unwrap()
}

fn tag(response: &Response) -> &str {
    response.header("etag").unwrap_or_else(|| panic!("no tag: {}", response.head))
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let host = Host::start(
        "sessions: {enabled: false}\nroutes: [{name: shop, path: /, respond: {status: 200, body: hello}}]\n",
    );
    let first = get(host.admin, "/api/openapi.json");
    let known = tag(&first).to_owned();
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(tag(&get(host.admin, "/api/openapi.json")), known);
    let weak = format!("W/{known}");
    let list = format!("\"other, one\", {weak}");
    for fields in [vec![known.as_str()], vec![&weak], vec![&list], vec!["*"], vec!["\"other\"", &known]] {
        for method in ["GET", "HEAD"] {
            let same = ask(host.admin, method, "/api/openapi.json", &fields);
            assert_eq!((same.status, same.body.len()), (304, 0), "{method} {fields:?}: {}", same.head);
            assert_eq!((tag(&same), same.header("content-type")), (known.as_str(), None));
            assert_eq!(same.header("x-content-type-options"), Some("nosniff"), "the guard is around it");
        }
    }
    for fields in [vec!["\"other\""], vec![known.trim_matches('"')], vec!["\"x\", *"], vec![]] {
        let whole = ask(host.admin, "GET", "/api/openapi.json", &fields);
        assert_eq!((whole.status, whole.body == first.body), (200, true), "{fields:?}");
        let head = ask(host.admin, "HEAD", "/api/openapi.json", &fields);
        assert_eq!((head.status, head.body.len(), tag(&head)), (200, 0, known.as_str()), "{fields:?}");
        let length = first.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{}", head.head);
    }
}

#[test]
fn another_answer_has_another_tag_and_what_is_no_answer_has_none() {
    let host = Host::start(
        "sessions: {enabled: false}\nroutes: [{name: shop, path: /, respond: {status: 200, body: hello}}]\n",
    );
    let path = "/api/transactions?from_us=1&limit=5";
    let empty = tag(&get(host.admin, path)).to_owned();
    assert_eq!(ask(host.admin, "GET", path, &[&empty]).status, 304);
    assert_eq!(get(host.http, "/").status, 200);
    let listed = eventually("the transaction", || {
        let answer = ask(host.admin, "GET", path, &[&empty]);
        (answer.status == 200).then_some(answer)
    });
    assert_ne!(tag(&listed), empty);
    for path in ["/api/transactions?nonsense=1", "/api/nothing", "/metrics"] {
        let answer = ask(host.admin, "GET", path, &["*"]);
        assert!(answer.status != 304 && answer.header("etag").is_none(), "{path}: {}", answer.head);
    }
    let config = get(host.admin, "/api/config");
    let revision = config.json()["etag"].as_str().unwrap().to_owned();
    assert_eq!(tag(&config), revision, "it says which revision a change is about");
    assert_eq!(ask(host.admin, "GET", "/api/config", &[&revision]).status, 200, "and not what else is told");
    let posted = send(host.admin, "POST", "/api/config/reload", &[("if-none-match", "*")], b"").unwrap();
    assert_eq!((posted.status, posted.header("etag")), (200, None));
}

#[test]
fn what_one_role_was_told_is_nothing_to_another() {
    let host = accounts::host();
    assert_eq!(get(host.http, "/").status, 200);
    let path = "/api/transactions?from_us=1&limit=5";
    let (ada, dev) = (Person::signed_in(&host, "ada"), Person::signed_in(&host, "dev"));
    let vera = Person::signed_in(&host, "vera");
    let whole = eventually("the transaction", || {
        let answer = ada.get(path);
        (answer.json()["items"].as_array()?.len() == 1).then_some(answer)
    });
    assert!(whole.json()["items"][0]["client"].is_string(), "{}", whole.text());
    let masked = dev.get(path);
    assert!(masked.json()["items"][0]["client"].is_null(), "{}", masked.text());
    assert_ne!(tag(&whole), tag(&masked));
    let with = |person: &Person, tag: &str| {
        let cookie =
            &person.browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<String>();
        send(host.admin, "GET", path, &[("cookie", cookie.as_str()), ("if-none-match", tag)], b"").unwrap()
    };
    assert_eq!((with(&ada, tag(&whole)).status, with(&ada, tag(&masked)).status), (304, 200));
    assert_eq!((with(&dev, tag(&masked)).status, with(&dev, tag(&whole)).status), (304, 200));
    for known in [tag(&whole), tag(&masked), "*"] {
        let refused = with(&vera, known);
        assert_eq!((refused.status, refused.header("etag")), (403, None), "she may not ask");
        assert_eq!(ask(host.admin, "GET", path, &[known]).status, 401, "nobody is told that it is the same");
    }
}
