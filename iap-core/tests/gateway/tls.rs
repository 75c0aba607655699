//! TLS: certificates by name, replaced while the server runs, and certificates of clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use crate::common::{ANY, single, status};
use iap_core::server::{Certificate, ClientAuth, Listener, TlsConfig, TlsError};
use iap_core::{Body, Connection, RunningServer, Server, Target};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A leaf for `names` as PEM: chain and key.
fn leaf(issuer: &Issuer, names: &[&str]) -> (String, String) {
    let mut params =
        CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn write(directory: &Path, name: &str, (chain, key): &(String, String)) {
    std::fs::write(directory.join(format!("{name}.pem")), chain).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), key).unwrap();
}

fn parse((chain, key): &(String, String)) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    use rustls::pki_types::pem::PemObject;
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

#[test]
fn certificates_say_when_they_end() {
    let issuer = issuer("root.example");
    let mut params = CertificateParams::new(vec!["shop.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "shop");
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2026, 1, 2), rcgen::date_time_ymd(2027, 3, 4));
    params.serial_number = Some(vec![0x7f, 0x01].into());
    let key = KeyPair::generate().unwrap();
    let pair = (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem());
    let mut brief = CertificateParams::new(vec!["old.example".to_owned()]).unwrap();
    (brief.not_before, brief.not_after) =
        (rcgen::date_time_ymd(1969, 1, 1), rcgen::date_time_ymd(2026, 5, 6));
    let brief = brief.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (mut chain, private) = parse(&pair);
    chain.push(brief.der().clone());
    let tls = TlsConfig::from_der(chain, private).unwrap();
    let [facts] = &tls.certificates()[..] else { panic!("one certificate") };
    let at = |days: u64| std::time::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400);
    assert_eq!(facts.names, ["shop.example", "127.0.0.1"]);
    assert!(facts.subject.contains("CN=shop") && facts.issuer.contains("CN=rcgen"), "{facts:?}");
    assert_eq!((facts.serial.as_str(), facts.fingerprint.len()), ("7f01", 64));
    assert_eq!((facts.not_before, facts.not_after), (at(20_455), at(20_881)));
    assert_eq!(facts.expires, at(20_579), "that of the chain's first end");

    // A renewed one is told of at once.
    let (chain, private) = parse(&leaf(&issuer, &["new.example"]));
    tls.replace(vec![Certificate::from_der(chain, private).unwrap()]).unwrap();
    assert_eq!(tls.certificates()[0].names, ["new.example"]);
}

/// Answers with what it knows of the handshake.
fn start(tls: &TlsConfig) -> RunningServer {
    let service = tower::service_fn(|request: http::Request<Body>| async move {
        let connection = request.extensions().get::<Arc<Connection>>().unwrap();
        let tls = connection.tls().unwrap();
        let certificate = tls.client_certificate.as_ref().map_or(0, |der| der.len().min(1));
        let text = format!("{} {:?} {certificate}", tls.version, tls.server_name);
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(text)))
    });
    let listener = Listener::new(ANY.parse().unwrap()).tls(tls.clone());
    Server::builder()
        .listener(listener)
        .workers(1)
        .routes(single(Target::service("tls", service)))
        .start()
        .unwrap()
}

/// One request for `name`; the answer and the certificate that was shown.
fn get(
    server: &RunningServer,
    name: &str,
    root: &Issuer,
    own: Option<&(String, String)>,
) -> std::io::Result<(String, CertificateDer<'static>)> {
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match own.map(parse) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server.addresses()[0])?);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let shown = stream.conn.peer_certificates().unwrap()[0].clone();
    Ok((text, shown))
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let ca = issuer("ca");
    let [first, shop, wild] = [&["first.test", "*.deep.wild.test"][..], &["shop.test"], &["*.wild.test"]]
        .map(|names| leaf(&ca, names));
    let certificate = |pair: &(String, String)| {
        let (chain, key) = parse(pair);
        Certificate::from_der(chain, key).unwrap()
    };
    assert_eq!(certificate(&first).names(), ["first.test", "*.deep.wild.test"]);
    let tls = TlsConfig::builder().certificate(certificate(&first)).certificate(certificate(&shop));
    let server = start(&tls.certificate(certificate(&wild)).build().unwrap());
    for (name, pair) in [
        ("first.test", &first),
        ("shop.test", &shop),
        ("SHOP.test", &shop),
        ("a.wild.test", &wild),
        ("x.deep.wild.test", &first),
    ] {
        let (response, shown) = get(&server, name, &ca, None).unwrap();
        assert_eq!(status(&response), "200");
        assert!(response.ends_with(&format!("TLSv1.3 Some({:?}) 0", name.to_lowercase())), "{response}");
        assert_eq!(shown, parse(pair).0[0], "{name}");
    }
    // An unknown name gets the first certificate, which does not fit it.
    for name in ["other.test", "wild.test", "a.b.wild.test"] {
        let error = get(&server, name, &ca, None).unwrap_err().to_string();
        assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{name}: {error}");
    }
}

#[test]
fn renewed_files_are_used_and_a_pair_that_does_not_fit_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ca = issuer("ca");
    let (old, new) = (leaf(&ca, &["shop.test"]), leaf(&ca, &["shop.test"]));
    write(directory.path(), "shop", &old);
    let (chain, key) = (directory.path().join("shop.pem"), directory.path().join("shop.key"));
    let tls = TlsConfig::from_pem_files(&chain, &key).unwrap();
    let server = start(&tls);
    let shown = || get(&server, "shop.test", &ca, None).unwrap().1;
    assert_eq!(shown(), parse(&old).0[0]);
    assert!(!tls.reload().unwrap(), "nothing has changed");

    // In the middle of a renewal the chain is new and the key old.
    std::fs::write(&chain, &new.0).unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::Pair { .. }) && error.to_string().contains("shop.key"), "{error}");
    std::fs::write(&chain, "garbage").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::NoCertificate(_))));
    std::fs::remove_file(&chain).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    assert_eq!(shown(), parse(&old).0[0]);

    write(directory.path(), "shop", &new);
    assert!(tls.reload().unwrap());
    assert_eq!(shown(), parse(&new).0[0]);
}

#[test]
fn a_client_without_a_certificate_of_the_ca_gets_no_answer() {
    let (ca, clients, strangers) = (issuer("ca"), issuer("clients"), issuer("strangers"));
    let (chain, key) = parse(&leaf(&ca, &["shop.test"]));
    let build = |auth| {
        let builder =
            TlsConfig::builder().certificate(Certificate::from_der(chain.clone(), key.clone_key()).unwrap());
        start(&builder.client_ca(vec![clients.der().clone()], auth).build().unwrap())
    };
    let (known, unknown) = (leaf(&clients, &["alice"]), leaf(&strangers, &["mallory"]));
    let required = build(ClientAuth::Required);
    assert!(get(&required, "shop.test", &ca, Some(&known)).unwrap().0.ends_with(" 1"));
    assert!(get(&required, "shop.test", &ca, None).is_err());
    assert!(get(&required, "shop.test", &ca, Some(&unknown)).is_err());
    let optional = build(ClientAuth::Optional);
    assert!(get(&optional, "shop.test", &ca, Some(&known)).unwrap().0.ends_with(" 1"));
    assert!(get(&optional, "shop.test", &ca, None).unwrap().0.ends_with(" 0"));
    assert!(get(&optional, "shop.test", &ca, Some(&unknown)).is_err());
}

#[test]
fn without_any_certificate_there_is_no_tls() {
    assert!(matches!(TlsConfig::builder().build(), Err(TlsError::Empty)));
}
