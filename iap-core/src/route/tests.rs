use http::{HeaderName, Method, Request, StatusCode};
use proptest::prelude::*;

use super::*;

fn route(name: &str, host: Option<&str>, path: &str) -> Route {
    let route = Route::new(name, path, Target::respond(StatusCode::OK, ""));
    match host {
        Some(host) => route.host(host),
        None => route,
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

fn name_of(table: &RouteTable, host: &str, request: &Request<()>) -> String {
    table.find(host, request.into()).map_or_else(|none| format!("{none:?}"), |route| route.name().to_string())
}

#[test]
fn the_narrowest_host_and_the_longest_prefix_win() {
    let table = RouteTable::new([
        route("root", None, "/"),
        route("shop", None, "/shop"),
        route("cart", None, "/shop/cart/"),
        route("exact", Some("A.example.org"), "/shop"),
        route("wild", Some("*.example.org"), "/"),
        route("deep", Some("*.b.example.org"), "/x"),
    ])
    .unwrap();
    for (host, path, expected) in [
        ("h", "/", "root"),
        ("h", "/shopping", "root"),
        ("h", "/shop", "shop"),
        ("h", "/shop/", "shop"),
        ("h", "/shop/cart/1", "cart"),
        ("a.example.org", "/shop/1", "exact"),
        ("a.example.org", "/else", "wild"),
        ("x.y.example.org", "/", "wild"),
        ("c.b.example.org", "/x/1", "deep"),
        ("c.b.example.org", "/y", "wild"),
        ("example.org", "/y", "root"),
    ] {
        assert_eq!(name_of(&table, host, &get(path)), expected, "{host}{path}");
    }
    assert_eq!(name_of(&RouteTable::new([route("a", None, "/a")]).unwrap(), "h", &get("/b")), "NotFound");
}

#[test]
fn written_segments_win_over_parameters_and_exact_paths_over_prefixes() {
    let table = RouteTable::new([
        route("users", None, "/users"),
        route("user", None, "/users/{id}").exact(),
        route("me", None, "/users/me"),
        route("posts", None, "/users/{id}/posts/{post}"),
        route("my-posts", None, "/users/me/posts").exact(),
        route("home", None, "/").exact(),
    ])
    .unwrap();
    for (path, expected) in [
        ("/", "home"),
        ("/x", "NotFound"),
        ("/users", "users"),
        ("/users/7", "user"),
        ("/users/7/", "user"),
        ("/users/7/else", "users"),
        ("/users/me", "me"),
        ("/users/me/else", "me"),
        ("/users/me/posts", "my-posts"),
        // A written segment wins over a parameter that would lead deeper.
        ("/users/me/posts/3", "me"),
        ("/users/7/posts/3/comments", "posts"),
        ("/users/7/posts", "users"),
    ] {
        assert_eq!(name_of(&table, "h", &get(path)), expected, "{path}");
    }
}

#[test]
fn conditions_choose_between_routes_of_one_path() {
    let when = |name: &str, conditions: Conditions| route(name, None, "/api").when(conditions);
    let all = Conditions::new;
    let table = RouteTable::new([
        when("get", all().methods([Method::GET])),
        when("post", all().methods([Method::POST])),
        when("beta", all().header(HeaderName::from_static("x-beta"), "*")),
        when("beta-kim", all().header(HeaderName::from_static("x-beta"), "yes").cookie("user", "kim")),
        when("v2", all().query("v", "2*")),
        route("api-2", None, "/api/2").when(all().methods([Method::PUT])),
    ])
    .unwrap();
    let ask = |method: &str, target: &str, fields: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        name_of(&table, "h", &request.body(()).unwrap())
    };
    assert_eq!(ask("GET", "/api", &[]), "get");
    assert_eq!(ask("HEAD", "/api", &[]), "get");
    assert_eq!(ask("POST", "/api/x", &[]), "post");
    assert_eq!(ask("DELETE", "/api", &[]), "WrongMethod([GET, HEAD, POST])");
    assert_eq!(ask("DELETE", "/api/2", &[]), "WrongMethod([PUT, GET, HEAD, POST])");
    assert_eq!(ask("GET", "/api/2", &[]), "get", "the wider path takes what the narrower does not");
    assert_eq!(ask("DELETE", "/api", &[("x-beta", "1")]), "beta");
    assert_eq!(ask("GET", "/api", &[("x-beta", "yes"), ("cookie", "a=b; user=kim")]), "beta-kim");
    assert_eq!(ask("DELETE", "/api", &[("x-beta", "yes"), ("cookie", "xuser=kim")]), "beta");
    assert_eq!(ask("DELETE", "/api?x=1&v=2.1", &[]), "v2");
    assert_eq!(ask("DELETE", "/api?v=%32.1", &[]), "v2", "decoded");
    assert_eq!(ask("DELETE", "/api?v=1", &[]), "WrongMethod([GET, HEAD, POST])");
}

#[test]
fn parameters_are_decoded_and_the_matched_part_is_known() {
    let route = route("a", None, "/users/{id}/posts/{post}");
    let params = PathParams::of(&route, "/users/a%20b/posts/%ff/more").unwrap();
    assert_eq!((params.get("id"), params.get("post"), params.get("x")), (Some("a b"), Some("%ff"), None));
    assert_eq!(route.matched("/users/7/posts/3/more"), "/users/7/posts/3");
    let plain = super::Route::new("b", "/assets/", Target::respond(StatusCode::OK, ""));
    assert_eq!(plain.matched("/assets/x"), "/assets");
    assert_eq!(PathParams::of(&plain, "/assets/x"), None);
    let root = super::Route::new("c", "/", Target::respond(StatusCode::OK, ""));
    assert_eq!(root.matched("/x/y"), "");
}

#[test]
fn a_catch_all_stands_for_one_segment_or_more() {
    let table = RouteTable::new([
        route("root", None, "/").exact(),
        route("all", None, "/files/{owner}/{*file}"),
        route("index", None, "/files/{owner}").exact(),
        route("one", None, "/files/kim/plan"),
    ])
    .unwrap();
    for (path, expected) in [
        ("/files/kim/a", "all"),
        ("/files/kim/a/b/", "all"),
        ("/files/kim", "index"),
        ("/files/kim/", "index"),
        ("/files/kim/plan/b", "one"),
        ("/files", "NotFound"),
    ] {
        assert_eq!(name_of(&table, "h", &get(path)), expected, "{path}");
    }
    let route = &table.routes()[1];
    for (path, raw, plain) in [
        ("/files/kim/a", "a", "a"),
        ("/files/kim/a%20b/c.txt", "a%20b/c.txt", "a b/c.txt"),
        ("/files/kim/a/b/", "a/b/", "a/b/"),
    ] {
        let params = PathParams::of(route, path).unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), [("owner", "kim"), ("file", plain)]);
        assert_eq!(route.raw_parameter("file", path), Some(raw));
        assert_eq!(route.matched(path), "/files/kim", "what follows is the rest, as without a name");
    }
}

#[test]
fn patterns_fit_whole_values() {
    for (pattern, value, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "abcd", false),
        ("a*a", "a", false),
        ("*b*", "abc", true),
        ("*b*b*", "abc", false),
        ("", "", true),
        ("", "x", false),
    ] {
        assert_eq!(Pattern::new(pattern).matches(value), fits, "{pattern} {value}");
    }
}

#[test]
fn contradictions_are_named() {
    let error = |routes| RouteTable::new(routes).unwrap_err().to_string();
    assert!(error(vec![route("a", None, "/x"), route("b", None, "/x/")]).contains("route `b`"));
    assert!(error(vec![route("a", None, "/x/{i}"), route("b", None, "/x/{j}")]).contains("route `b`"));
    assert!(RouteTable::new([route("a", None, "/x"), route("b", None, "/x").exact()]).is_ok());
    assert!(error(vec![route("a", None, "/x"), route("a", None, "/y")]).contains("named `a`"));
    for host in ["x.org:80", "a b", "x.*.org", "http://x.org", "m\u{fc}ller.de", "", "*."] {
        assert!(error(vec![route("a", Some(host), "/")]).contains("is no host name"), "{host}");
    }
    for host in ["*", "x.org", "*.x.org", "localhost", "[::1]", "127.0.0.1"] {
        assert!(RouteTable::new([route("a", Some(host), "/")]).is_ok(), "{host}");
    }
    for path in ["x", "", "/a//b", "/a/../b", "/./a"] {
        assert!(error(vec![route("a", None, path)]).contains("must begin"), "{path}");
    }
    for path in [
        "/{}",
        "/{a",
        "/a{b}",
        "/{a}{b}",
        "/{a b}",
        "/{a}/{a}",
        "/{*}",
        "/{**a}",
        "/{a*}",
        "/{a}/{*a}",
        "/x{*a}",
    ] {
        assert!(error(vec![route("a", None, path)]).contains("is no parameter"), "{path}");
    }
    for path in ["/{*a}/b", "/{*a}/{b}", "/{*a}/{*b}"] {
        assert!(error(vec![route("a", None, path)]).contains("to the end of the path"), "{path}");
    }
    assert!(error(vec![route("a", None, "/x/{*a}").exact()]).contains("not with `exact`"));
    assert!(error(vec![route("a", None, "/x/{a}"), route("b", None, "/x/{*b}")]).contains("same host, path"));
    let many =
        (0..65).map(|n| route(&n.to_string(), None, "/").when(Conditions::new().query("n", &n.to_string())));
    assert!(error(many.collect()).contains("more than 64 routes"));
}

/// A path without the names of its parameters.
fn shape(route: &Route) -> Vec<&str> {
    route.path().split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect()
}

/// The rules again, written down without a tree: a score for each route that fits.
fn naive<'t>(routes: &'t [Arc<Route>], path: &str) -> Option<&'t Arc<Route>> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut best: Option<(Vec<u8>, &Arc<Route>)> = None;
    for route in routes {
        let own: Vec<_> = route.path().split('/').filter(|part| !part.is_empty()).collect();
        let fits =
            own.len() <= parts.len() && own.iter().zip(&parts).all(|(a, b)| a.starts_with('{') || a == b);
        if !fits || (route.is_exact && own.len() != parts.len()) {
            continue;
        }
        // Segment by segment from the left: written, then a parameter, then the end of the path.
        let mut score: Vec<u8> = own.iter().map(|part| if part.starts_with('{') { 2 } else { 3 }).collect();
        score.push(if route.is_exact { 1 } else { 0 });
        if best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, route));
        }
    }
    best.map(|(_, route)| route)
}

proptest! {
    #[test]
    fn the_tree_finds_what_the_rules_say(
        paths in proptest::collection::vec(("(/(a|b|\\{p\\})){0,3}", 0..3), 1..12),
        asked in "(/(a|b|c)){0,4}",
    ) {
        let mut routes: Vec<Route> = Vec::new();
        for (index, (path, kind)) in paths.iter().enumerate() {
            // Parameters of one path need names of their own.
            let path = path.split("{p}").enumerate().fold(String::new(), |text, (number, part)| {
                if number == 0 { part.to_owned() } else { format!("{text}{{p{number}}}{part}") }
            });
            let path = if *kind == 2 { format!("{path}/{{*rest}}") } else { path };
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let new = route(&index.to_string(), None, &path);
            let new = if *kind == 1 { new.exact() } else { new };
            let same = |other: &Route| shape(other) == shape(&new) && other.is_exact == new.is_exact;
            if !routes.iter().any(same) {
                routes.push(new);
            }
        }
        let table = RouteTable::new(routes).unwrap();
        let asked = if asked.is_empty() { "/".to_owned() } else { asked };
        let request = get(&asked);
        let found = table.find("h", (&request).into()).ok().map(|route| route.name().clone());
        let expected = naive(table.routes(), &asked);
        prop_assert_eq!(found, expected.map(|route| route.name().clone()), "{}", asked);
        // What a catch-all stands for is what was asked for, behind what the route has matched.
        if let Some(route) = expected && let Some(rest) = route.raw_parameter("rest", &asked) {
            prop_assert!(!rest.is_empty());
            prop_assert_eq!(format!("{}/{rest}", route.matched(&asked)), asked);
        }
    }
}
