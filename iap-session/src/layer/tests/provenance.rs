use crate::provenance::{Provenance, ProvenanceConfig, RecordAddress};

use super::*;

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = std::net::SocketAddr::new(address.parse().unwrap(), 4711);
    request.extensions_mut().insert(Arc::new(Connection::new(peer, ([127, 0, 0, 1], 80).into(), false)));
    on_route(SessionPolicy::default(), request)
}

/// What is known of the only session after it was created from one address, and logged in to from another.
async fn known(addresses: RecordAddress) -> Provenance {
    let provenance = ProvenanceConfig { addresses, node: Some("gateway-1".into()) };
    let bench = bench_with(SessionConfig { provenance, ..SessionConfig::default() });
    let created = send(&bench.writer(), from("::ffff:192.0.2.77", get(""))).await.unwrap();
    let login = bench.app(async |session| session.login("alice").await);
    send(&login, from("2001:db8:1:2::3", get(&cookie_of(&created).unwrap()))).await.unwrap();
    let page = bench.store.scan(ScanQuery::default()).await.unwrap();
    assert_eq!(page.sessions.len(), 1);
    page.sessions[0].provenance.clone()
}

#[tokio::test]
async fn a_session_remembers_where_it_comes_from() {
    for (addresses, created, login) in [
        (RecordAddress::Full, Some("192.0.2.77"), Some("2001:db8:1:2::3")),
        (RecordAddress::Masked, Some("192.0.2.0/24"), Some("2001:db8:1::/48")),
        (RecordAddress::Off, None, None),
    ] {
        let address = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let wanted = Provenance {
            address: address(created),
            login_address: address(login),
            node: Some("gateway-1".into()),
            route: Some("test".into()),
        };
        assert_eq!(known(addresses).await, wanted, "{addresses:?}");
    }
}

#[tokio::test]
async fn what_nobody_knows_is_absent() {
    let bench = bench();
    bench.cookie().await;
    let page = bench.store.scan(ScanQuery::default()).await.unwrap();
    assert_eq!(page.sessions[0].provenance, Provenance::default());
}
