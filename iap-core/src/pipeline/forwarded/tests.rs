use proptest::prelude::*;

use super::*;

fn find(peer: &str, fields: &[(&'static str, &str)]) -> Arc<Connection> {
    let trusted = Networks::parse(["10.0.0.0/8", "::1"]).unwrap();
    let connection =
        Connection::new(format!("{peer}:1000").parse().unwrap(), "10.9.9.9:80".parse().unwrap(), false);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    client(&connection, &headers, &trusted).unwrap_or_else(|| Arc::new(connection))
}

#[test]
fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
    for (fields, address, chain) in [
        (&[("x-forwarded-for", "192.0.2.7")][..], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (&[("x-forwarded-for", "6.6.6.6, 192.0.2.7")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (
            &[("x-forwarded-for", "6.6.6.6,192.0.2.7 , 10.2.2.2")],
            "192.0.2.7",
            "192.0.2.7, 10.2.2.2, 10.0.0.1",
        ),
        (
            &[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.2.2.2")],
            "192.0.2.7",
            "192.0.2.7, 10.2.2.2, 10.0.0.1",
        ),
        (&[("x-forwarded-for", "10.3.3.3, 10.2.2.2")], "10.3.3.3", "10.3.3.3, 10.2.2.2, 10.0.0.1"),
        (&[("x-forwarded-for", "evil, 10.2.2.2")], "10.2.2.2", "10.2.2.2, 10.0.0.1"),
        (&[("x-forwarded-for", "192.0.2.7:5000")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (&[("x-forwarded-for", "[2001:db8::7]:5000")], "2001:db8::7", "2001:db8::7, 10.0.0.1"),
        (&[("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (&[("x-forwarded-for", "")], "10.0.0.1", "10.0.0.1"),
        (&[], "10.0.0.1", "10.0.0.1"),
        (
            &[("forwarded", "for=192.0.2.7;proto=https, for=10.2.2.2")],
            "192.0.2.7",
            "192.0.2.7, 10.2.2.2, 10.0.0.1",
        ),
        (&[("forwarded", "For=\"[2001:db8::7]:80\"")], "2001:db8::7", "2001:db8::7, 10.0.0.1"),
        (&[("forwarded", "for=192.0.2.7, for=_hidden, for=10.2.2.2")], "10.2.2.2", "10.2.2.2, 10.0.0.1"),
        (
            &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")],
            "192.0.2.7",
            "192.0.2.7, 10.0.0.1",
        ),
    ] {
        let found = find("10.0.0.1", fields);
        assert_eq!(found.peer().ip().to_string(), address, "{fields:?}");
        assert_eq!(found.forwarded_for(), chain, "{fields:?}");
        assert!(found.is_forwarded() && found.socket_peer().ip().to_string() == "10.0.0.1");
    }
}

#[test]
fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
    let fields =
        [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-forwarded-proto", "https")];
    let found = find("192.0.2.9", &fields);
    assert_eq!(found.peer().to_string(), "192.0.2.9:1000");
    assert_eq!(found.forwarded_for(), "192.0.2.9");
    assert!(!found.is_tls() && !found.is_forwarded());
}

#[test]
fn the_scheme_is_the_clients() {
    let tls = |fields: &[(&'static str, &str)]| find("10.0.0.1", fields).is_tls();
    assert!(tls(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")]));
    assert!(tls(&[("x-forwarded-proto", "HTTPS")]));
    assert!(tls(&[("x-forwarded-proto", "http, https")]), "the nearest proxy's word");
    assert!(!tls(&[("x-forwarded-proto", "https, http")]));
    assert!(!tls(&[("x-forwarded-proto", "nonsense")]));
    assert!(tls(&[("forwarded", "for=1.2.3.4;proto=https, for=10.1.1.1;proto=http")]));
}

proptest! {
    /// Whatever stands to the left of the first address that is not trusted changes nothing.
    #[test]
    fn a_client_cannot_move_itself(claims in "[ -~]{0,200}") {
        let list = format!("{claims}, 192.0.2.7, 10.2.2.2");
        let found = find("10.0.0.1", &[("x-forwarded-for", &list)]);
        prop_assert_eq!(found.forwarded_for(), "192.0.2.7, 10.2.2.2, 10.0.0.1");
        let list = format!("for={claims}, for=192.0.2.7");
        let found = find("10.0.0.1", &[("forwarded", &list)]);
        prop_assert_eq!(found.forwarded_for(), "192.0.2.7, 10.0.0.1");
    }
}
