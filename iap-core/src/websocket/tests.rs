use super::*;

#[test]
fn a_key_is_answered_as_in_the_rfc() {
    let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let answers = |values: &[&'static str]| {
        let values = values.iter().map(|value| (SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(value)));
        is_accepted(&HeaderMap::from_iter(values), &key)
    };
    assert!(answers(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]));
    for wrong in [&[][..], &["dGhlIHNhbXBsZSBub25jZQ=="], &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "x"]] {
        assert!(!answers(wrong), "{wrong:?}");
    }
}

#[test]
fn only_what_switches_opens_a_tunnel() {
    let answer = |status: u16, upgrade: Option<&str>| {
        let mut response = Response::builder().status(status).header(SEC_WEBSOCKET_ACCEPT, "a");
        if let Some(upgrade) = upgrade {
            response = response.header(UPGRADE, upgrade);
        }
        let answer = answer_connect(response.body(Body::empty()).unwrap());
        answer.map(|response| (response.status().as_u16(), response.headers().len())).ok()
    };
    assert_eq!(answer(101, Some("WebSocket")), Some((200, 0)));
    assert_eq!(answer(101, Some("h2c")), None);
    assert_eq!(answer(101, None), None);
    assert_eq!(answer(200, Some("websocket")), None);
    assert_eq!(answer(204, None), None);
    assert_eq!(answer(403, None), Some((403, 1)));
    assert_eq!(answer(302, None), Some((302, 1)));
}

#[test]
fn two_keys_are_not_the_same_and_the_way_there_and_back_changes_nothing() {
    let upgrade = || {
        let mut request = Request::builder().method(Method::CONNECT).uri("/chat").version(Version::HTTP_2);
        request.headers_mut().unwrap().insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("mine"));
        let mut request = request.body(()).unwrap();
        make_upgrade(&mut request).unwrap();
        request
    };
    let mut request = upgrade();
    let fields = request.headers().clone();
    assert!(is_named(&fields) && fields[SEC_WEBSOCKET_KEY].len() == 24);
    assert_ne!(upgrade().headers()[SEC_WEBSOCKET_KEY], fields[SEC_WEBSOCKET_KEY]);
    make_connect(&mut request);
    assert_eq!((request.method(), request.headers().len()), (&Method::CONNECT, 0));
    undo_connect(&mut request, Some(&fields[SEC_WEBSOCKET_KEY]));
    assert_eq!((request.method(), request.headers()), (&Method::GET, &fields));
    assert!(request.extensions().get::<Protocol>().is_none());
}
