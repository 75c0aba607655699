//! Rules that look at the path: redirects, rewrites, parameters.

use http::{Method, StatusCode};
use iap_core::route::Conditions;
use iap_core::rules::{Redirect, Rewrite, Template};
use iap_core::{Body, PathParams, Route, Target};

use crate::common::{Origin, status};
use crate::rules::{ask, field, ok, one, serve, upstream};

#[test]
fn redirects_and_rewrites_know_the_parts_of_a_request() {
    let template = |text: &str| Template::new(text).unwrap();
    let moved =
        Redirect::new(StatusCode::PERMANENT_REDIRECT, template("https://{host}/new{rest}{query}")).unwrap();
    let server = one("/old", ok(), |rules| rules.redirect = Some(moved));
    let response = ask(&server, "POST", "/old/a%20b/c?x=1", "content-length: 0\r\n");
    assert_eq!(
        (status(&response), field(&response, "location")),
        ("308", Some("https://shop.test/new/a%20b/c?x=1"))
    );
    assert!(Redirect::new(StatusCode::OK, template("/")).is_none());

    let origin = Origin::fixed("ok");
    for (path, rewrite, asked, seen) in [
        ("/api", "/v2{rest}", "/api/items?q=1", "/v2/items?q=1"),
        ("/api", "{rest}", "/api", "/"),
        ("/users/{id}", "/people/{id}/profile", "/users/a%2Bb", "/people/a%2Bb/profile"),
        ("/x", "/a/{rest}/b", "/x/y", "/a/y/b"),
        (
            "/files/{owner}/{*file}",
            "/store/{file}/of/{owner}",
            "/files/kim/a/b%20c?q=1",
            "/store/a/b%20c/of/kim?q=1",
        ),
        ("/files/{owner}/{*file}", "/store{rest}", "/files/kim/a/b/", "/store/a/b/"),
        ("/x/{*rest}", "/a/{rest}/b", "/x/y/z", "/a/y/z/b"),
    ] {
        let rewrite = Rewrite::new(template(rewrite));
        let server = one(path, upstream(&origin), |rules| rules.rewrite = Some(rewrite));
        assert_eq!(status(&ask(&server, "GET", asked, "")), "200");
        let request = origin.requests.lock().last().unwrap().clone();
        assert!(request.starts_with(&format!("GET {seen} HTTP/1.1")), "{request}");
    }
    let moved = Redirect::new(StatusCode::FOUND, template("https://files.test/{rest}{query}")).unwrap();
    let server = one("/files/{*rest}", ok(), |rules| rules.redirect = Some(moved));
    let response = ask(&server, "GET", "/files/a/b?x=1", "");
    assert_eq!(
        field(&response, "location"),
        Some("https://files.test/a/b?x=1"),
        "the parameter, not the rest"
    );
    for bad in ["{", "}", "{}", "{a b}", "a}b", "\n"] {
        assert!(Template::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn files_are_found_by_what_a_catch_all_stands_for() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("a")).unwrap();
    std::fs::write(directory.path().join("a/b.txt"), "found").unwrap();
    let server = one("/files/{*file}", Target::files(directory.path()), |_| {});
    assert!(ask(&server, "GET", "/files/a/b.txt", "").ends_with("\r\n\r\nfound"));
    assert_eq!(status(&ask(&server, "GET", "/files/b.txt", "")), "404");
}

#[test]
fn path_parameters_reach_the_service_and_a_wrong_method_is_405() {
    let service = tower::service_fn(|request: http::Request<Body>| async move {
        let params = request.extensions().get::<PathParams>().unwrap();
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(
            params.get("id").unwrap().to_owned(),
        )))
    });
    for rewrite in ["/v2/{id}", "/{id}", "/a/b/c{path}", "/fixed"] {
        let target = Target::service("user", service);
        let server = one("/users/{id}", target, |rules| {
            rules.rewrite = Some(Rewrite::new(Template::new(rewrite).unwrap()));
        });
        assert!(ask(&server, "GET", "/users/a%20b", "").ends_with("\r\n\r\na b"), "{rewrite}");
    }
    let server = one("/users/{*id}", Target::service("user", service), |_| {});
    assert!(ask(&server, "GET", "/users/a%20b/c/", "").ends_with("\r\n\r\na b/c/"));
    assert_eq!(status(&ask(&server, "GET", "/users/", "")), "404", "it stands for one segment at least");
    let route = Route::new("user", "/users/{id}", Target::service("user", service)).exact();
    let server = serve([route.when(Conditions::new().methods([Method::GET, Method::PUT]))]);
    assert!(ask(&server, "GET", "/users/a%20b", "").ends_with("\r\n\r\na b"));
    let refused = ask(&server, "DELETE", "/users/7", "");
    assert_eq!((status(&refused), field(&refused, "allow")), ("405", Some("GET, HEAD, PUT")));
    assert_eq!(status(&ask(&server, "GET", "/users/7/x", "")), "404");
}
