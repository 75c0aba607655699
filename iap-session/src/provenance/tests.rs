use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_is_kept_of_an_address() {
    for (address, masked, full) in [
        ("192.0.2.77", "192.0.2.0/24", "192.0.2.77"),
        ("::ffff:192.0.2.77", "192.0.2.0/24", "192.0.2.77"),
        ("2001:db8:1:2::7", "2001:db8:1::/48", "2001:db8:1:2::7"),
    ] {
        let kept = |addresses| ProvenanceConfig { addresses, node: None }.address(ip(address));
        assert_eq!(kept(RecordAddress::Masked).unwrap().to_string(), masked);
        assert_eq!(kept(RecordAddress::Full).unwrap().to_string(), full);
        assert_eq!(kept(RecordAddress::Off), None);
    }
}

#[test]
fn an_address_is_in_a_network_as_far_as_it_is_known() {
    let matches = |kept: ClientAddress, asked: &str| kept.may_be_in(&asked.parse().unwrap());
    let full = ClientAddress::full(ip("192.0.2.77"));
    let masked = ClientAddress::masked(ip("192.0.2.77"));
    for kept in [full, masked] {
        assert!(
            matches(kept, "192.0.2.77") && matches(kept, "192.0.2.0/24") && matches(kept, "192.0.0.0/16")
        );
        assert!(!matches(kept, "192.0.3.0/24") && !matches(kept, "2001:db8::/32"));
    }
    assert!(matches(masked, "192.0.2.78") && !matches(full, "192.0.2.78"));
    assert!(matches(full, "192.0.2.5/24"), "bits beyond the prefix do not count");
}

#[test]
fn what_is_written_is_read() {
    for text in ["192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/48", "0.0.0.0/0"] {
        assert_eq!(text.parse::<ClientAddress>().unwrap().to_string(), text);
    }
    for text in ["", "192.0.2", "192.0.2.0/33", "localhost", "192.0.2.1:80"] {
        assert_eq!(text.parse::<ClientAddress>(), Err(AddressError), "{text}");
    }
    let provenance = Provenance {
        address: Some(ClientAddress::masked(ip("192.0.2.1"))),
        node: Some("gateway-1".into()),
        ..Provenance::default()
    };
    let json = serde_json::to_string(&provenance).unwrap();
    assert_eq!(serde_json::from_str::<Provenance>(&json).unwrap(), provenance);
    assert_eq!(serde_json::from_str::<Provenance>("{}").unwrap(), Provenance::default());
}
