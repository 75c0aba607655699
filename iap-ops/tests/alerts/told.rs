//! Those who are told: HTTP servers of this test, and a mail server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use iap_core::{Body, Route, RouteTable, RunningServer, Server, Target};
use iap_ops::alerts::Severity;
use iap_ops::notify::{ChannelSettings, ChannelStatus, MailSecurity, MailSettings, Message, Outbox, sign};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::service_fn;

fn message(id: &str) -> Message {
    Message {
        id: id.into(),
        severity: Severity::Critical,
        title: "checkout fails\r\nBcc: everybody@example.com".into(),
        text: "오류율 12 % <script>".into(),
        details: json!({"rule": "checkout"}),
    }
}

async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in a minute"))
}

fn outbox(channels: impl IntoIterator<Item = (&'static str, ChannelSettings)>) -> Outbox {
    let channels = channels.into_iter().map(|(name, settings)| (name.to_owned(), settings)).collect();
    Outbox::start(channels, &Handle::current()).expect("good channels")
}

fn status(outbox: &Outbox, channel: &str) -> ChannelStatus {
    outbox.status().remove(channel).expect("the channel")
}

/// What a server was sent.
type Seen = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// A server that gives these answers, the last of them for good.
fn server(answers: &[StatusCode]) -> (SocketAddr, Seen, RunningServer) {
    let (seen, answers) = (Seen::default(), answers.to_vec());
    let notes = seen.clone();
    let service = service_fn(move |request: Request<Body>| {
        let (seen, answers) = (notes.clone(), answers.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let mut seen = seen.lock();
            let answer = answers[seen.len().min(answers.len() - 1)];
            seen.push((head.uri.to_string(), head.headers, String::from_utf8_lossy(&body).into_owned()));
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer;
            if answer == StatusCode::TOO_MANY_REQUESTS {
                response.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let routes =
        RouteTable::new([Route::new("all", "/", Target::service("notes", service))]).expect("a route");
    let server = Server::builder().listen(([127, 0, 0, 1], 0).into()).workers(1).routes(routes);
    let server = server.start().expect("a server");
    (server.addresses()[0], seen, server)
}

fn webhook(url: String) -> ChannelSettings {
    ChannelSettings::Webhook { url, secret: Some("the secret of the hook".into()), tls: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_what_it_can_check() {
    let (address, seen, _server) = server(&[StatusCode::OK]);
    let outbox = outbox([("ops", webhook(format!("http://{address}/hook?team=a")))]);
    outbox.send(&["ops".to_owned(), "nobody".to_owned()], message("m1"));
    eventually("the message arrives", || (status(&outbox, "ops").sent == 1).then_some(())).await;
    let (uri, headers, body) = seen.lock().remove(0);
    assert!(uri.ends_with("/hook?team=a"), "{uri}");
    let got: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (&got["id"], &got["severity"], &got["details"]["rule"]),
        (&json!("m1"), &json!("critical"), &json!("checkout"))
    );
    let signature = headers["iap-signature"].to_str().expect("text");
    let time = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).expect("a time");
    assert_eq!(signature, sign("the secret of the hook", time.parse().expect("seconds"), &body));
    assert_ne!(signature, sign("another secret", time.parse().expect("seconds"), &body));
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_gets_text_without_markup() {
    let (address, seen, _server) = server(&[StatusCode::OK]);
    let slack = ChannelSettings::Slack { url: format!("http://{address}/services/T/B/secret"), tls: None };
    let outbox = outbox([("chat", slack)]);
    assert_eq!(outbox.try_now("chat", &message("m1")).await, Some(Ok(())));
    assert_eq!(outbox.try_now("nobody", &message("m1")).await, None);
    let (_, _, body) = seen.lock().remove(0);
    let got: Value = serde_json::from_str(&body).expect("JSON");
    let text = got["text"].as_str().expect("text");
    assert!(text.starts_with("[critical] checkout fails") && text.contains("&lt;script&gt;"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_better_later_is_tried_again_and_what_is_refused_is_not() {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::NO_CONTENT];
    let (address, seen, _server) = server(&busy);
    let (other, refused, _other) = server(&[StatusCode::FORBIDDEN, StatusCode::OK]);
    let outbox = outbox([
        ("busy", webhook(format!("http://{address}/"))),
        ("refuses", webhook(format!("http://{other}/"))),
    ]);
    let both = ["busy".to_owned(), "refuses".to_owned()];
    outbox.send(&both, message("m1"));
    eventually("it is sent at last", || (status(&outbox, "busy").sent == 1).then_some(())).await;
    assert_eq!(seen.lock().len(), 3);
    assert_eq!(status(&outbox, "busy").last_error, None);
    outbox.send(&both, message("m2"));
    eventually("the next one is sent", || (status(&outbox, "refuses").sent == 1).then_some(())).await;
    assert_eq!(status(&outbox, "refuses").failed, 1);
    assert_eq!(refused.lock().len(), 2, "a refusal is not repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_away_holds_up_no_other_and_its_queue_is_bounded() {
    // Accepts, and never answers.
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/secret-path", hangs.local_addr().expect("an address"));
    let (address, _seen, _server) = server(&[StatusCode::OK]);
    let outbox = outbox([("away", webhook(url)), ("there", webhook(format!("http://{address}/")))]);
    for n in 0..300 {
        outbox.send(&["away".to_owned()], message(&n.to_string()));
    }
    outbox.send(&["there".to_owned()], message("m1"));
    eventually("the other one is told", || (status(&outbox, "there").sent == 1).then_some(())).await;
    let away = status(&outbox, "away");
    assert!(away.dropped >= 300 - 257 && away.waiting + away.dropped as usize == 300, "{away:?}");
    drop(hangs);
    let gone = eventually("the failure is told", || status(&outbox, "away").last_error).await;
    assert!(!gone.contains("secret"), "{gone}");
}

#[test]
fn channels_that_cannot_work_are_refused_without_their_secrets() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mail = |from: &str, to: &[&str]| {
        ChannelSettings::Mail(MailSettings {
            host: "mail.example.com".into(),
            port: 25,
            security: MailSecurity::None,
            login: None,
            from: from.into(),
            to: to.iter().map(ToString::to_string).collect(),
        })
    };
    for (wrong, part) in [
        (webhook("ftp://h/hunter2".into()), "http://"),
        (webhook("http://user:hunter2@h/".into()), "no user"),
        (webhook("hunter2 is no url".into()), "no URL"),
        (mail("nobody", &["a@example.com"]), "from: `nobody`"),
        (mail("a@example.com", &["b"]), "to: `b`"),
        (mail("a@example.com", &[]), "nobody gets it"),
    ] {
        let channels = BTreeMap::from([("ops".to_owned(), wrong)]);
        let error = Outbox::start(channels, runtime.handle()).err().expect(part).to_string();
        assert!(error.starts_with("ops: ") && error.contains(part) && !error.contains("hunter2"), "{error}");
    }
}
