use super::super::info::Info;
use super::floors::Floors;
use crate::id::SessionKey;

fn key(n: u64) -> SessionKey {
    SessionKey::from_hex(&format!("{n:064x}")).unwrap()
}

#[test]
fn a_floor_never_sinks_and_old_ones_make_room() {
    let floors = Floors::new();
    floors.raise(key(1), 5);
    floors.raise(key(1), 3);
    assert_eq!(floors.get(&key(1)), Some(5));
    // All in one shard, far more than fit. What is used stays.
    for n in 2..100_000 {
        floors.raise(key(n), n);
        assert_eq!(floors.get(&key(1)), Some(5));
    }
    let known = (2..100_000).filter(|n| floors.get(&key(*n)).is_some()).count();
    assert!((4096..=8192).contains(&known), "{known}");
    floors.forget(&key(1));
    assert_eq!(floors.get(&key(1)), None);
    floors.close(key(1));
    floors.raise(key(1), 6);
    assert_eq!(floors.get(&key(1)), Some(u64::MAX));
}

#[test]
fn the_followers_of_a_primary_are_read() {
    let info = Info::parse(
        "# Replication\r\nrole:master\r\nconnected_slaves:4\r\n\
         slave0:ip=10.0.0.3,port=6380,state=online,offset=56,lag=0\r\n\
         slave1:ip=10.0.0.2,port=6379,state=online,offset=40,lag=1\r\n\
         slave2:ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
         slave3:ip=,port=none,state=online\r\n\
         slaves_waiting:ip=10.0.0.9,port=1,state=online\r\nmaster_replid:abc\r\nmaster_repl_offset:56\r\n",
    );
    assert_eq!(info.field("role"), Some("master"));
    assert_eq!(info.number("master_repl_offset"), Some(56));
    let followers: Vec<String> = info.followers().iter().map(ToString::to_string).collect();
    assert_eq!(followers, ["10.0.0.2:6379", "10.0.0.3:6380"]);
    assert!(Info::parse("garbage\n:\nslave0:\nslave1:port=99999999").followers().is_empty());
}
