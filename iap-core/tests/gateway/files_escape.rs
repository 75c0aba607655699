//! Ways out of a directory of static files, none of which leads anywhere.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{ANY, Client, single, status};
use iap_core::{RunningServer, Server, Target};

const SECRET: &str = "the secret";

/// `www` with a file, and a secret beside it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("www/sub")).unwrap();
    fs::create_dir_all(directory.path().join("outside")).unwrap();
    fs::write(directory.path().join("www/a.txt"), "public").unwrap();
    fs::write(directory.path().join("www/sub/a.txt"), "public").unwrap();
    fs::write(directory.path().join("outside/a.txt"), SECRET).unwrap();
    directory
}

fn serve(directory: &tempfile::TempDir) -> RunningServer {
    let target = Target::files(directory.path().join("www"));
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(single(target)).start().unwrap()
}

#[test]
fn no_way_of_writing_a_path_leads_out() {
    let directory = directory();
    let server = serve(&directory);
    let absolute = directory.path().join("outside/a.txt");
    let absolute = absolute.to_str().unwrap();
    for dots in ["..", "%2e%2e", "%2E.", ".%2e", "..;x", "%252e%252e", "..%00", "...", "%c0%ae%c0%ae", ".. "]
    {
        for slash in ["/", "%2f", "%2F", "\\", "%5c", "//", "%252f", "%c0%af", "/./"] {
            for start in ["/", "/sub/../", "/sub/"] {
                let up = if start == "/sub/" { format!("{dots}{slash}{dots}") } else { dots.to_owned() };
                let path = format!("{start}{up}{slash}outside{slash}a.txt");
                let response = Client::connect(server.addresses()[0]).get(&path);
                assert!(matches!(status(&response), "400" | "404"), "{path}: {response}");
                assert!(!response.contains(SECRET), "{path}");
            }
        }
    }
    for path in
        [absolute.to_owned(), format!("/{absolute}"), format!("/%2f{absolute}"), format!("/.{absolute}")]
    {
        let response = Client::connect(server.addresses()[0]).get(&path);
        assert!(matches!(status(&response), "400" | "404"), "{path}: {response}");
    }
}

#[test]
fn links_are_followed_inside_and_never_out() {
    let directory = directory();
    let www = directory.path().join("www");
    symlink("sub/a.txt", www.join("inside")).unwrap();
    symlink("sub", www.join("inside-dir")).unwrap();
    for (name, to) in [
        ("out", "../outside/a.txt"),
        ("out-dir", "../outside"),
        ("up", ".."),
        ("twice", "out"),
        ("back", "../www/../outside/a.txt"),
        ("self", "/proc/self/root"),
        ("descriptor", "/proc/self/fd/0"),
        ("loop", "loop"),
        ("nowhere", "nothing"),
    ] {
        symlink(to, www.join(name)).unwrap();
    }
    symlink(directory.path().join("outside/a.txt"), www.join("absolute")).unwrap();
    let server = serve(&directory);
    let mut client = Client::connect(server.addresses()[0]);
    assert!(client.get("/inside").ends_with("public"));
    assert!(client.get("/inside-dir/a.txt").ends_with("public"));
    for path in [
        "/out",
        "/out-dir/a.txt",
        "/out-dir/",
        "/up/outside/a.txt",
        "/twice",
        "/back",
        "/absolute",
        "/self/etc/passwd",
        "/descriptor",
        "/loop",
        "/nowhere",
    ] {
        let response = client.get(path);
        assert_eq!(status(&response), "404", "{path}: {response}");
    }
}

#[test]
fn a_link_that_is_swapped_meanwhile_never_leads_out() {
    let directory = directory();
    let www = directory.path().join("www");
    let server = serve(&directory);
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (www, stop) = (www.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                // A name that is a directory at one moment and a link out at the next.
                for target in ["sub", "../outside"] {
                    symlink(target, www.join("next")).unwrap();
                    fs::rename(www.join("next"), www.join("door")).unwrap();
                    swaps += 1;
                }
            }
            swaps
        })
    };
    let mut client = Client::connect(server.addresses()[0]);
    let (mut public, mut refused) = (0, 0);
    // Until both sides of the door have been met often enough.
    crate::common::until("both are seen", || {
        let response = client.get("/door/a.txt");
        assert!(!response.contains(SECRET), "{response}");
        match status(&response) {
            "200" => public += 1,
            "404" => refused += 1,
            other => panic!("{other}: {response}"),
        }
        public > 200 && refused > 200
    });
    stop.store(true, Ordering::SeqCst);
    assert!(swapping.join().unwrap() > 0);
}

#[test]
fn what_is_no_file_is_not_opened() {
    let directory = directory();
    let www = directory.path().join("www");
    let fifo = www.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    let _socket = std::os::unix::net::UnixListener::bind(www.join("socket")).unwrap();
    symlink("/dev/zero", www.join("device")).unwrap();
    let server = serve(&directory);
    let mut client = Client::connect(server.addresses()[0]);
    for path in ["/pipe", "/socket", "/device", "/pipe/", "/pipe/a"] {
        assert_eq!(status(&client.get(path)), "404", "{path}");
    }
    assert!(client.get("/a.txt").ends_with("public"));
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_visibly() {
    let directory = directory();
    // More than sockets and buffers hold.
    let length = 64 << 20;
    let path = directory.path().join("www/large");
    fs::File::create(&path).unwrap().set_len(length).unwrap();
    let server = serve(&directory);
    let mut client = Client::connect(server.addresses()[0]);
    client.send("GET /large HTTP/1.1\r\nhost: t\r\n\r\n");
    let head = crate::common::read_head_only(&mut client.0).unwrap();
    assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
    fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let mut rest = Vec::new();
    // A close or a reset, but not the whole length.
    let _ = client.0.read_to_end(&mut rest);
    assert!((rest.len() as u64) < length, "{} bytes", rest.len());
    assert_eq!(status(&Client::connect(server.addresses()[0]).get("/large")), "200");
}

#[test]
fn a_file_that_vanishes_while_it_is_sent_is_sent_whole() {
    let directory = directory();
    let length = 16 << 20;
    let path = directory.path().join("www/large");
    fs::File::create(&path).unwrap().set_len(length).unwrap();
    let server = serve(&directory);
    let mut client = Client::connect(server.addresses()[0]);
    client.send("GET /large HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&crate::common::read_head_only(&mut client.0).unwrap()), "200");
    fs::remove_file(&path).unwrap();
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() as u64, length);
    assert_eq!(status(&Client::connect(server.addresses()[0]).get("/large")), "404");
}
