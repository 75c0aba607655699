//! The part of the conformance suite about where sessions come from.

use crate::OpId;
use crate::provenance::{ClientAddress, Provenance};
use crate::store::ScanQuery;
use crate::write::{Commit, Expiry, Login, LoginPolicy, NewSession, Rotation};

use super::conformance::{Fixture, commit, load, rotation, set};

pub(super) async fn run(fixture: &Fixture) {
    let store = &fixture.store;
    let address = |text: &str| text.parse::<ClientAddress>().ok();
    let mut wanted = Provenance {
        address: address("192.0.2.0/24"),
        node: Some("gateway-1".into()),
        route: Some("shop".into()),
        login_address: None,
    };
    let new = NewSession { provenance: wanted.clone(), ..NewSession::new(Expiry::default()) };
    let first = store.create(new).await.expect("create").record.key;
    commit(store, first, vec![set("a", 1)]).await;
    assert_eq!(load(store, first).await.provenance, wanted, "it is kept as it was given");

    let from = Provenance { address: address("2001:db8::7"), ..Provenance::default() };
    let login = Some(Login { user: "ines".into(), policy: LoginPolicy::default() });
    let entered = Rotation { login, provenance: from, ..rotation(vec![]) };
    let entered = store.rotate(first, entered).await.expect("login").record.key;
    wanted.login_address = address("2001:db8::7");
    assert_eq!(load(store, entered).await.provenance, wanted, "of a login the address is noted");
    let plain = store.rotate(entered, rotation(vec![])).await.expect("rotate").record.key;
    assert_eq!(load(store, plain).await.provenance, wanted, "a new id changes nothing of it");
    for user in [None, Some("ines".into())] {
        let (mut cursor, mut found) = (None, None);
        loop {
            let page = store.scan(ScanQuery { user: user.clone(), cursor, limit: 0 }).await.expect("scan");
            found = found.or(page.sessions.into_iter().find(|summary| summary.key == plain));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.expect("it is listed").provenance, wanted, "a list shows it");
    }
    let logout = Commit { op: OpId::random(), ops: vec![], expected: None, logout: true };
    store.commit(plain, logout).await.expect("logout");
    wanted.login_address = None;
    assert_eq!(load(store, plain).await.provenance, wanted, "after a logout nobody has logged in");
}
