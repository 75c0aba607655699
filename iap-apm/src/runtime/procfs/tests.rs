use std::net::TcpListener;

use proptest::prelude::*;

use super::*;

#[test]
fn a_name_with_parentheses_does_not_shift_the_fields() {
    let text = "7 (a) (b c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 12 0 5 1 2 3";
    assert_eq!(Stat::parse(text), Some(Stat { user: 250, system: 50, threads: 12 }));
    assert_eq!(Stat::parse("7 (a"), None);
}

#[test]
fn this_process_is_read() {
    let mut readings = Readings::default();
    process(readings.of(&[("process", "self")]), None);
    let value = |name: &str| {
        let found: Vec<_> = readings.list.iter().filter(|reading| reading.name == name).collect();
        assert!(!found.is_empty(), "{name}: {readings:?}");
        found.iter().map(|reading| reading.value).sum::<f64>()
    };
    assert!(value("process.memory.usage") > 1e6 && value("process.thread.count") >= 1.0);
    assert!(value("process.memory.anonymous") > 1e5, "{readings:?}");
    assert!(value("process.memory.anonymous") <= value("process.memory.usage"));
    assert!(value("process.unix.file_descriptor.count") >= 3.0);
    assert!(value("process.unix.file_descriptor.limit") >= value("process.unix.file_descriptor.count"));
    let identity = Identity::of(std::process::id()).unwrap();
    assert_eq!((identity.uid, identity.inner > 0), (rustix::process::geteuid().as_raw(), true));
}

#[test]
fn connections_that_nobody_accepts_are_counted() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let mut readings = Readings::default();
        listeners(&mut readings, &[address], &listening_sockets(["tcp", "tcp6"]));
        let queue =
            readings.list.iter().find(|reading| reading.name == "listener.accept_queue.length").unwrap();
        assert_eq!((queue.value, queue.labels["address"].as_str()), (3.0, address.to_string().as_str()));
        assert!(readings.list.iter().any(|reading| reading.name == "tcp.listen.overflows"));
        drop(clients);
    }
}

#[test]
fn the_signals_and_the_inner_number_are_read() {
    let text = "Name:\tjava\nUid:\t0\t1000\t0\t0\nNSpid:\t812\t7\nSigCgt:\t2000000181005ccf\n";
    assert_eq!(Identity::parse(812, text), Some(Identity { uid: 1000, inner: 7, handles_quit: true }));
    let text = "Uid:\t0\t0\t0\t0\nSigCgt:\t0000000000000000\n";
    assert_eq!(Identity::parse(9, text), Some(Identity { uid: 0, inner: 9, handles_quit: false }));
}

proptest! {
    #[test]
    fn odd_text_never_panics(text in "\\PC{0,200}", name in "[A-Za-z]{0,10}") {
        let _ = (Stat::parse(&text), Identity::parse(1, &text), listening(&text), tcp_ext(&text, &name), descriptor_limit(&text));
        let _ = tcp_ext(&format!("TcpExt: {text}\nTcpExt: {text}"), &name);
    }
}
