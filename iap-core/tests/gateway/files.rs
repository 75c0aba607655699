//! Static files as clients see them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::common::{ANY, Client, single, status};
use iap_core::files::{Files, FilesSettings};
use iap_core::{Route, RouteTable, RunningServer, Server, Target};

/// A root with a few files of last year, and something beside it.
struct Www {
    _directory: tempfile::TempDir,
    root: PathBuf,
}

impl Www {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let this = Self { root: directory.path().join("www"), _directory: directory };
        fs::create_dir_all(this.root.join("sub dir")).unwrap();
        fs::write(this.root.join("../secret.txt"), "the secret").unwrap();
        this.write("index.html", "<p>home");
        this.write("a.txt", "0123456789");
        this.write("empty.txt", "");
        this.write("sub dir/index.html", "<p>sub");
        this
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        age(&path, 365 * 86_400);
    }
}

fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn start(routes: RouteTable) -> RunningServer {
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

fn serve(root: &Path, change: impl FnOnce(&mut FilesSettings)) -> RunningServer {
    let mut settings = FilesSettings::default();
    change(&mut settings);
    start(single(Target::Files(Arc::new(Files::with_settings(root, settings).unwrap()))))
}

fn client(server: &RunningServer) -> Client {
    Client::connect(server.addresses()[0])
}

fn ask(client: &mut Client, method: &str, path: &str, fields: &str) -> String {
    client.request(&format!("{method} {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n"))
}

fn field(response: &str, name: &str) -> Option<String> {
    let head = response.split("\r\n\r\n").next().unwrap();
    let prefix = format!("{name}: ");
    head.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn ranges_send_what_was_asked_for() {
    let www = Www::new();
    let large: Vec<u8> = (0..300_000_u32).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
    www.write("large.txt", &large);
    let server = serve(&www.root, |_| {});
    let mut client = client(&server);
    for (path, range, code, content_range, text) in [
        ("/a.txt", "bytes=2-4", "206", Some("bytes 2-4/10"), "234"),
        ("/a.txt", "bytes=-2", "206", Some("bytes 8-9/10"), "89"),
        ("/a.txt", "bytes=7-", "206", Some("bytes 7-9/10"), "789"),
        ("/a.txt", "bytes=4-2", "200", None, "0123456789"),
        ("/empty.txt", "bytes=0-", "200", None, ""),
    ] {
        let response = ask(&mut client, "GET", path, &format!("range: {range}\r\n"));
        assert_eq!(status(&response), code, "{range}: {response}");
        assert_eq!(field(&response, "content-range").as_deref(), content_range, "{range}");
        assert_eq!(body(&response), text, "{range}");
    }
    let beyond = ask(&mut client, "GET", "/a.txt", "range: bytes=10-\r\n");
    assert_eq!(status(&beyond), "416");
    assert_eq!(field(&beyond, "content-range").as_deref(), Some("bytes */10"));
    let long = ask(&mut client, "GET", "/large.txt", "range: bytes=100-200099\r\n");
    assert_eq!(field(&long, "content-length").as_deref(), Some("200000"));
    assert!(body(&long).as_bytes() == &large[100..200_100]);
    assert!(body(&client.get("/large.txt")).as_bytes() == large);
    let head = ask(&mut client, "HEAD", "/a.txt", "range: bytes=2-4\r\n");
    assert_eq!((status(&head), field(&head, "content-length").as_deref()), ("200", Some("10")), "{head}");
}

#[test]
fn several_ranges_are_several_parts() {
    let www = Www::new();
    let server = serve(&www.root, |_| {});
    let response = ask(&mut client(&server), "GET", "/a.txt", "range: bytes=0-1,-3\r\n");
    assert_eq!(status(&response), "206");
    let media_type = field(&response, "content-type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let own = "content-type: text/plain; charset=utf-8\r\ncontent-range: bytes";
    let expected = format!(
        "\r\n--{boundary}\r\n{own} 0-1/10\r\n\r\n01\r\n--{boundary}\r\n{own} 7-9/10\r\n\r\n789\r\n--{boundary}--\r\n"
    );
    assert_eq!(body(&response), expected);
}

#[test]
fn conditions_are_evaluated_in_the_order_of_the_rfc() {
    let www = Www::new();
    let server = serve(&www.root, |settings| settings.cache = vec![("*".into(), "max-age=60".into())]);
    let mut client = client(&server);
    let first = client.get("/a.txt");
    let (tag, date) = (field(&first, "etag").unwrap(), field(&first, "last-modified").unwrap());
    assert!(tag.starts_with('"'), "a file of last year has a strong tag: {tag}");
    let (past, future) = ("Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    for (fields, code) in [
        (format!("if-none-match: {tag}\r\n"), "304"),
        (format!("if-none-match: W/{tag}\r\n"), "304"),
        (format!("if-none-match: \"a,b\", {tag}\r\n"), "304"),
        (format!("if-none-match: \"x\"\r\nif-none-match: {tag}\r\n"), "304"),
        ("if-none-match: *\r\n".to_owned(), "304"),
        ("if-none-match: \"x\"\r\n".to_owned(), "200"),
        (format!("if-none-match: \"x\"\r\nif-modified-since: {future}\r\n"), "200"),
        (format!("if-none-match: {tag}\r\nif-modified-since: {past}\r\n"), "304"),
        (format!("if-modified-since: {date}\r\n"), "304"),
        (format!("if-modified-since: {past}\r\n"), "200"),
        ("if-modified-since: yesterday\r\n".to_owned(), "200"),
        (format!("if-match: {tag}\r\n"), "200"),
        ("if-match: *\r\n".to_owned(), "200"),
        (format!("if-match: W/{tag}\r\n"), "412"),
        ("if-match: \"x\"\r\n".to_owned(), "412"),
        (format!("if-match: {tag}\r\nif-unmodified-since: {past}\r\n"), "200"),
        (format!("if-match: \"x\"\r\nif-none-match: {tag}\r\n"), "412"),
        (format!("if-unmodified-since: {date}\r\n"), "200"),
        (format!("if-unmodified-since: {past}\r\n"), "412"),
        (format!("range: bytes=0-1\r\nif-range: {tag}\r\n"), "206"),
        (format!("range: bytes=0-1\r\nif-range: {date}\r\n"), "206"),
        (format!("range: bytes=0-1\r\nif-range: W/{tag}\r\n"), "200"),
        ("range: bytes=0-1\r\nif-range: \"x\"\r\n".to_owned(), "200"),
        (format!("range: bytes=0-1\r\nif-range: {future}\r\n"), "200"),
        (format!("range: bytes=99-\r\nif-range: {past}\r\n"), "200"),
        (format!("range: bytes=0-1\r\nif-none-match: {tag}\r\n"), "304"),
    ] {
        let head = ask(&mut client, "HEAD", "/a.txt", &fields);
        assert_eq!(status(&head), if code == "206" { "200" } else { code }, "HEAD {fields}");
        // A 304 has no body and no length: it is the last on its connection.
        let response = ask(&mut Client::connect(server.addresses()[0]), "GET", "/a.txt", &fields);
        assert_eq!(status(&response), code, "{fields}: {response}");
        if code == "304" {
            assert_eq!(field(&response, "etag").as_ref(), Some(&tag));
            assert_eq!(field(&response, "cache-control").as_deref(), Some("max-age=60"));
        }
    }
}

#[test]
fn tags_tell_versions_apart_and_say_how_surely() {
    let www = Www::new();
    let server = serve(&www.root, |_| {});
    let mut client = client(&server);
    let old = field(&client.get("/a.txt"), "etag").unwrap();
    fs::write(www.root.join("a.txt"), "9876543210").unwrap();
    let fresh = field(&client.get("/a.txt"), "etag").unwrap();
    assert!(fresh.starts_with("W/\"") && fresh != old, "{fresh} after {old}");
    let file = fs::File::options().write(true).open(www.root.join("a.txt")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    let response = client.get("/a.txt");
    let date = httpdate_of(&field(&response, "last-modified").unwrap());
    assert!(date <= SystemTime::now(), "no file is of the future");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let response = client.get("/a.txt");
    assert_eq!((field(&response, "etag"), field(&response, "last-modified")), (None, None), "{response}");
}

fn httpdate_of(text: &str) -> SystemTime {
    httpdate::parse_http_date(text).unwrap()
}

#[test]
fn precompressed_siblings_are_sent_to_those_who_take_them() {
    let www = Www::new();
    www.write("app.js", "plain");
    www.write("app.js.br", "as brotli");
    www.write("app.js.gz", "as gzip");
    symlink("../secret.txt", www.root.join("a.txt.gz")).unwrap();
    let server = serve(&www.root, |settings| settings.precompressed = true);
    let mut client = client(&server);
    let mut tags = Vec::new();
    for (accept, coding, text) in [
        ("gzip, br, zstd", Some("br"), "as brotli"),
        ("gzip, br;q=0.1", Some("gzip"), "as gzip"),
        ("zstd", None, "plain"),
        ("br;q=0, gzip;q=0", None, "plain"),
    ] {
        let response = ask(&mut client, "GET", "/app.js", &format!("accept-encoding: {accept}\r\n"));
        assert_eq!(field(&response, "content-encoding").as_deref(), coding, "{accept}");
        assert_eq!(field(&response, "vary").as_deref(), Some("accept-encoding"));
        assert_eq!(field(&response, "content-type").as_deref(), Some("text/javascript; charset=utf-8"));
        assert_eq!(body(&response), text, "{accept}");
        tags.push(field(&response, "etag").unwrap());
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "{tags:?}");
    let fields = format!("accept-encoding: br\r\nif-none-match: {}\r\n", tags[2]);
    assert_eq!(status(&ask(&mut client, "GET", "/app.js", &fields)), "200", "the tag of another coding");
    let linked = ask(&mut client, "GET", "/a.txt", "accept-encoding: gzip\r\n");
    assert_eq!(body(&linked), "0123456789", "a sibling that leads out is none");
    let off = serve(&www.root, |_| {});
    let response = ask(&mut Client::connect(off.addresses()[0]), "GET", "/app.js", "accept-encoding: br\r\n");
    assert_eq!((body(&response), field(&response, "vary")), ("plain", None));
}

#[test]
fn types_have_charsets_and_are_not_to_be_guessed() {
    let www = Www::new();
    for (name, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("unknown", "application/octet-stream"),
    ] {
        www.write(name, "x");
        let server = serve(&www.root, |_| {});
        let response = client(&server).get(&format!("/{name}"));
        assert_eq!(field(&response, "content-type").as_deref(), Some(expected), "{name}");
        assert_eq!(field(&response, "x-content-type-options").as_deref(), Some("nosniff"));
    }
}

#[test]
fn directories_have_an_index_a_listing_or_nothing() {
    let www = Www::new();
    www.write("list/<b>&\"'.txt", "x");
    www.write("list/javascript:alert(1)", "x");
    www.write("list/.hidden", "x");
    www.write("list/inner/x", "x");
    symlink("../../secret.txt", www.root.join("list/link")).unwrap();
    let plain = serve(&www.root, |_| {});
    let mut c = client(&plain);
    assert_eq!(body(&c.get("/sub%20dir/")), "<p>sub");
    let slash = c.get("/sub%20dir?q=1");
    assert_eq!((status(&slash), field(&slash, "location").as_deref()), ("307", Some("/sub%20dir/?q=1")));
    assert_eq!(status(&c.get("/list/")), "404");
    assert_eq!(status(&c.get("/a.txt/")), "404");
    let listed = serve(&www.root, |settings| settings.listing = true);
    let page = client(&listed).get("/list/");
    assert_eq!(status(&page), "200");
    assert!(page.contains("&lt;b&gt;&amp;&quot;&#39;.txt") && !page.contains("<b>"), "{page}");
    assert!(page.contains("href=\"./%3Cb%3E%26%22%27.txt\""), "{page}");
    assert!(page.contains("href=\"./javascript%3Aalert%281%29\""), "{page}");
    assert!(page.contains("href=\"./inner/\""), "{page}");
    assert!(!page.contains("hidden") && !page.contains("link"), "{page}");
    assert!(client(&listed).get("/").ends_with("<p>home"), "an index comes first");
    let other = serve(&www.root, |settings| settings.index = Some("a.txt".to_owned()));
    assert!(client(&other).get("/").ends_with("0123456789"));
    let none = serve(&www.root, |settings| settings.index = None);
    assert_eq!(status(&client(&none).get("/")), "404");
}

#[test]
fn the_fallback_is_for_navigations_only() {
    let www = Www::new();
    let server = serve(&www.root, |settings| settings.fallback = Some("/index.html".to_owned()));
    let mut client = client(&server);
    for (path, fields, code) in [
        ("/orders/17", "accept: text/html,*/*;q=0.8\r\n", "200"),
        ("/orders/17/", "", "200"),
        ("/orders/17", "accept: */*\r\nsec-fetch-mode: navigate\r\n", "200"),
        ("/orders/17", "accept: */*\r\nsec-fetch-mode: cors\r\n", "404"),
        ("/orders/17", "accept: application/json\r\n", "404"),
        ("/app.1234.js", "accept: text/html\r\n", "404"),
        ("/orders/v1.2", "", "404"),
        ("/.git/config", "accept: text/html\r\n", "404"),
    ] {
        let response = ask(&mut client, "GET", path, fields);
        assert_eq!(status(&response), code, "{path} {fields}");
        assert_eq!(response.ends_with("<p>home"), code == "200", "{path} {fields}");
    }
    assert_eq!(status(&ask(&mut client, "HEAD", "/orders/17", "")), "200");
    let post = ask(&mut client, "POST", "/orders/17", "content-length: 0\r\n");
    assert_eq!((status(&post), field(&post, "allow").as_deref()), ("405", Some("GET, HEAD")));
}

#[test]
fn names_with_a_dot_are_kept_but_for_well_known() {
    let www = Www::new();
    for name in [".env", ".git/config", "sub/.htpasswd", ".well-known/security.txt", ".well-known/.secret"] {
        www.write(name, "x");
    }
    let server = serve(&www.root, |_| {});
    let mut c = client(&server);
    for (path, code) in [
        ("/.env", "404"),
        ("/%2eenv", "404"),
        ("/.git/config", "404"),
        ("/sub/.htpasswd", "404"),
        ("/.well-known/.secret", "404"),
        ("/.well-known/security.txt", "200"),
    ] {
        assert_eq!(status(&c.get(path)), code, "{path}");
    }
    let open = serve(&www.root, |settings| settings.dotfiles = true);
    assert_eq!(status(&client(&open).get("/.env")), "200");
}

#[test]
fn below_a_prefix_directories_keep_it() {
    let www = Www::new();
    let routes = RouteTable::new([
        Route::new("www", "/static", Target::files(&www.root)),
        Route::new("one", "/{any}/files", Target::files(&www.root)),
    ]);
    let server = start(routes.unwrap());
    let mut client = client(&server);
    assert_eq!(field(&client.get("/static"), "location").as_deref(), Some("/static/"));
    assert_eq!(field(&client.get("/static/sub%20dir"), "location").as_deref(), Some("/static/sub%20dir/"));
    assert!(client.get("/x/files/a.txt").ends_with("0123456789"));
    assert!(client.get("/x/files/sub%20dir/").ends_with("<p>sub"));
}
