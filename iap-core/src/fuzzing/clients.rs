//! Who a request comes from: nothing that a client writes changes it, once somebody untrusted was met.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use crate::connection::Connection;
use crate::networks::Networks;
use crate::pipeline::forwarded_client;
use crate::server::fuzz_proxy_header;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Takes the bytes for a PROXY header, and for the value of `X-Forwarded-For` and `Forwarded`, a line each.
pub fn clients(data: &[u8]) {
    fuzz_proxy_header(data);
    for name in [X_FORWARDED_FOR, FORWARDED] {
        let mut headers = HeaderMap::new();
        for line in data.split(|byte| *byte == b'\n').take(8) {
            let Ok(value) = HeaderValue::from_bytes(line) else { return };
            headers.append(&name, value);
        }
        chain(&headers, &name);
    }
}

fn chain(headers: &HeaderMap, name: &HeaderName) {
    let peer = SocketAddr::from(([10, 0, 0, 1], 80));
    let trusted = Networks::parse(["10.0.0.0/8", "fc00::/7"]).expect("these are networks");
    let found = |peer: SocketAddr, headers: &HeaderMap| {
        let connection = Connection::accepted(peer, peer, peer, false);
        let client = forwarded_client(&connection, headers, &trusted)?;
        let chain = client.forwarded_for().to_str().expect("addresses").to_owned();
        Some((client.peer().ip(), client.is_tls(), chain))
    };
    assert_eq!(found(([192, 0, 2, 1], 80).into(), headers), None, "who is not trusted is not asked");
    let (client, is_tls, chain) = found(peer, headers).expect("the peer is trusted");
    // The first in the chain is the client, and everybody behind it is one of ours.
    let hops: Vec<IpAddr> = chain.split(", ").map(|hop| hop.parse().expect("an address")).collect();
    let (first, proxies) = hops.split_first().expect("the peer at least");
    assert_eq!(*first, client);
    assert!(proxies.iter().all(|proxy| trusted.contains(*proxy)), "{chain}");
    assert!(hops.len() <= 33 && *first == first.to_canonical(), "{chain}");
    if trusted.contains(client) {
        return;
    }
    // What stands before it could have been written by anybody.
    let mut more = HeaderMap::new();
    more.append(name, HeaderValue::from_static("for=192.0.2.66;proto=https, 192.0.2.66"));
    more.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    assert_eq!(found(peer, &more), Some((client, is_tls, chain)));
}
