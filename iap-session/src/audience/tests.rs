use std::sync::Arc;

use http::Request;
use iap_core::Connection;
use iap_core::rules::Identity;
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

use super::*;

fn sketch_of(members: impl IntoIterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::new();
    members.into_iter().for_each(|member| sketch.add(&member.to_le_bytes()));
    sketch
}

/// Three standard errors of 0.81 %, and one for what is rounded.
fn is_near(counted: u64, right: u64) -> bool {
    counted.abs_diff(right) as f64 <= right as f64 * 0.0081 * 3.0 + 1.0
}

#[test]
fn counts_are_right_within_three_standard_errors() {
    let mut sketch = Sketch::new();
    let mut next = 1;
    for member in 1..=3_000_000u64 {
        sketch.add(&member.to_le_bytes());
        if member == next {
            assert!(is_near(sketch.count(), member), "{member} were counted as {}", sketch.count());
            next = next * 3 / 2 + 1;
        }
    }
    assert!(sketch.bytes() <= 16_000);
}

#[test]
fn a_hundred_millions_are_right_as_well() {
    // As the union of what many nodes have counted. The hashes are drawn, not made: it is the estimate that is
    // tested, and 10^8 hashes take long.
    let (mut union, mut state) = (Sketch::new(), 0x9e37_79b9_7f4a_7c15u64);
    let live = live::LiveSketch::new();
    for _ in 0..100_000_000u64 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        live.add(mixed ^ mixed >> 31);
    }
    union.merge(&live.take());
    assert!(is_near(union.count(), 100_000_000), "{}", union.count());
}

proptest! {
    #[test]
    fn a_union_is_the_sketch_of_the_union(
        left in prop::collection::vec(0u64..5_000, 0..4_000),
        right in prop::collection::vec(0u64..5_000, 0..4_000),
    ) {
        let mut union = sketch_of(left.iter().copied());
        union.merge(&sketch_of(right.iter().copied()));
        let direct = sketch_of(left.into_iter().chain(right));
        prop_assert_eq!(union.count(), direct.count());
        prop_assert_eq!(union.to_redis(), direct.to_redis());
    }

    #[test]
    fn what_goes_to_redis_comes_back(members in prop::collection::vec(any::<u64>(), 0..3_000)) {
        let sketch = sketch_of(members);
        let back = Sketch::from_redis(&sketch.to_redis()).expect("a sketch");
        prop_assert_eq!(back.to_redis(), sketch.to_redis());
    }

    #[test]
    fn bytes_that_are_no_sketch_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut value = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        value.extend(bytes);
        if let Some(sketch) = Sketch::from_redis(&value) {
            sketch.count();
        }
        prop_assert_eq!(Sketch::from_redis(&value[1..]), None);
    }
}

fn audience(by: &[&str]) -> Arc<Audience> {
    let by = by.iter().map(|by| by.parse().unwrap()).collect();
    Arc::new(Audience::new(AudienceConfig { by, ..AudienceConfig::new([1; 32]) }))
}

#[test]
fn who_comes_again_counts_once_in_every_window() {
    let audience = audience(&["address"]);
    // One user who stays, one who is new every minute, for three hours.
    let start = 1_700_000_000 - 1_700_000_000 % 3600;
    for minute in 0..180u64 {
        audience.see("shop", 0, b"stays");
        audience.see("shop", 0, &minute.to_le_bytes());
        audience.see("blog", 0, b"stays");
        audience.tick(start + minute * 60);
    }
    let now = start + 179 * 60;
    let count =
        |application, seconds| audience.count(&By::Address, application, audience.window(now, seconds));
    assert_eq!(count(Some("shop"), 2), 2);
    assert_eq!(count(Some("shop"), 10 * 60), 11);
    assert!(is_near(count(Some("shop"), 3 * 3600), 181));
    assert_eq!(count(Some("blog"), 3 * 3600), 1);
    assert_eq!(count(None, 3 * 3600), count(Some("shop"), 3 * 3600), "one who uses both is one");
    assert_eq!(count(Some("none"), 3600), 0);
    let hours = audience.series(&By::Address, None, Span { from_s: start, to_s: now }, 3600).unwrap();
    assert!(hours.len() == 3 && hours.iter().all(|point| is_near(point.users, 61)), "{hours:?}");
    assert_eq!(hours[1].at_ms, (start + 3600) * 1000);
    let all_time = Span { from_s: 0, to_s: now };
    assert_eq!(audience.series(&By::Address, None, all_time, 2), None, "so many points are not made");
}

#[test]
fn what_is_kept_is_bounded() {
    let by = vec![By::Address];
    let config =
        AudienceConfig { by, max_applications: 2, max_bytes: 100_000, ..AudienceConfig::new([1; 32]) };
    let audience = Audience::new(config);
    for tick in 0..200u64 {
        for user in 0..2_000u64 {
            audience.see(["a", "b", "c", "d"][user as usize % 4], 0, &user.to_le_bytes());
        }
        audience.tick(1_000_000 + tick * 2);
    }
    assert_eq!(audience.applications(), ["a".into(), "b".into()]);
    assert!(audience.kept.lock().histories.values().map(History::bytes).sum::<usize>() <= 100_000);
    let now = audience.window(1_000_398, 2);
    let all = audience.count(&By::Address, None, now);
    assert!(is_near(all, 2_000), "those beyond the limit count in the sum: {all}");
}

#[tokio::test]
async fn the_layer_sees_addresses_cookies_and_users() {
    let audience = audience(&["address", "cookie:JSESSIONID", "cookie:KHANUSER", "user"]);
    let inner = tower::service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(()) });
    // Only the clone that was polled ready may be called.
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let service = AudienceLayer::new(audience.clone()).layer(limited);
    let visits = [
        ("192.0.2.1:1", "JSESSIONID=A.node1", None),
        ("192.0.2.1:2", "x=y; JSESSIONID=A.node2; KHANUSER=1.2", Some("anna")),
        ("[::ffff:192.0.2.1]:3", "JSESSIONID=B; KHANUSER=1.3", Some("anna")),
        ("192.0.2.2:1", "JSESSIONID=", Some("berta")),
    ];
    for (peer, cookie, user) in visits {
        let connection = Connection::new(peer.parse().unwrap(), "127.0.0.1:80".parse().unwrap(), false);
        let mut request = Request::builder().header("cookie", cookie).extension(Arc::new(connection));
        if let Some(user) = user {
            let mut identity = Identity::default();
            identity.user = Some(user.into());
            request = request.extension(identity);
        }
        service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
    }
    audience.tick(1_000_000);
    let window = audience.window(1_000_000, 60);
    let counts: Vec<_> = audience.kinds().iter().map(|by| audience.count(by, None, window)).collect();
    assert_eq!(counts, [2, 2, 2, 2]);
}

#[test]
fn kinds_are_written_as_they_are_read() {
    for text in ["address", "session", "user", "cookie:JSESSIONID"] {
        assert_eq!(text.parse::<By>().unwrap().to_string(), text);
    }
    for wrong in ["", "ip", "cookie:", "cookie:a b", "Address"] {
        assert!(wrong.parse::<By>().is_err(), "{wrong}");
    }
}

/// Runs a command at a Redis server; its answer as bytes.
fn redis(server: &crate::testing::RedisServer, args: &[&str], last: Option<&[u8]>) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let port = server.port().to_string();
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port]).args(last.map(|_| "-x")).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(last.unwrap_or_default()).unwrap();
    let mut answer = child.wait_with_output().unwrap().stdout;
    assert_eq!(answer.pop(), Some(b'\n'));
    answer
}

#[test]
fn redis_counts_our_sketches_and_we_count_those_of_redis() {
    let server = crate::testing::RedisServer::start();
    let number = |answer: Vec<u8>| String::from_utf8(answer).unwrap().parse::<u64>().unwrap();
    // Sparse in Redis, and dense.
    for (size, form) in [(0u32, 1u8), (300, 1), (20_000, 0)] {
        let names: Vec<String> = (0..size).map(|number| format!("user-{number}")).collect();
        let theirs = format!("theirs:{size}");
        for names in names.chunks(5_000) {
            let args: Vec<&str> =
                ["PFADD", &theirs].into_iter().chain(names.iter().map(|name| &**name)).collect();
            redis(&server, &args, None);
        }
        if size == 0 {
            redis(&server, &["PFADD", &theirs], None);
        }
        let mut ours = Sketch::new();
        names.iter().for_each(|name| ours.add(name.as_bytes()));
        let value = redis(&server, &["GET", &theirs], None);
        assert_eq!(value[4], form, "{size}");
        let read = Sketch::from_redis(&value).expect("a sketch");
        assert_eq!(read.to_redis(), ours.to_redis(), "{size}");

        assert_eq!(ours.to_redis()[4], form, "ours are small where those of Redis are");
        redis(&server, &["SET", "ours"], Some(&ours.to_redis()));
        let counted = number(redis(&server, &["PFCOUNT", "ours"], None));
        assert_eq!((counted, counted), (ours.count(), number(redis(&server, &["PFCOUNT", &theirs], None))));
        assert_eq!(number(redis(&server, &["PFCOUNT", "ours", &theirs], None)), counted, "the same users");
        redis(&server, &["PFMERGE", "all", "ours"], None);
    }
    let mut all = sketch_of([]);
    (0..20_000).for_each(|number| all.add(format!("user-{number}").as_bytes()));
    assert_eq!(number(redis(&server, &["PFCOUNT", "all"], None)), all.count());
}
