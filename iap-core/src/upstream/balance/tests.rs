use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::settings::{ServerSettings, UpstreamSettings};
use super::*;

fn servers(weights: &[u32], settings: &UpstreamSettings) -> Vec<Arc<Server>> {
    let server = |(index, weight): (usize, &u32)| {
        let server = ServerSettings::parse(&format!("10.0.0.{index}")).unwrap().weight(*weight);
        Arc::new(Server::new("u", server, settings).unwrap())
    };
    weights.iter().enumerate().map(server).collect()
}

fn picks(balance: &Balance, weights: &[u32], count: u64) -> Vec<usize> {
    let servers = servers(weights, &UpstreamSettings::default());
    let balancer = Balancer::new(balance, &servers, false);
    (0..count).map(|key| balancer.pick(&servers, mix(key), |_| true).unwrap()).collect()
}

fn counts(picks: &[usize]) -> HashMap<usize, usize> {
    picks.iter().fold(HashMap::new(), |mut counts, pick| {
        *counts.entry(*pick).or_default() += 1;
        counts
    })
}

#[test]
fn weights_are_kept_exactly_and_spread_out() {
    assert_eq!(picks(&Balance::RoundRobin, &[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(picks(&Balance::RoundRobin, &[2, 2, 2], 4), [0, 1, 2, 0], "equal weights are none");
}

#[test]
fn another_weight_counts_at_once_and_the_old_one_as_if_it_had_never_been_another() {
    let servers = servers(&[1, 1, 1], &UpstreamSettings::default());
    let balancer = Balancer::new(&Balance::RoundRobin, &servers, false);
    let picks =
        |count| -> Vec<usize> { (0..count).map(|_| balancer.pick(&servers, 0, |_| true).unwrap()).collect() };
    let weigh = |weight| {
        servers[0].set_weight(weight);
        balancer.weights_changed(&servers);
    };
    assert_eq!(picks(3), [0, 1, 2]);
    weigh(1_000);
    assert_eq!(counts(&picks(300)).get(&1), None, "what is owed begins anew");
    weigh(5);
    assert_eq!(picks(7), [0, 0, 1, 0, 2, 0, 0], "nothing of the other weight is paid back");
    weigh(1);
    assert_eq!(counts(&picks(300)), HashMap::from([(0, 100), (1, 100), (2, 100)]));
}

#[test]
fn no_way_takes_a_server_that_is_not_eligible() {
    let hash = Balance::Hash(HashBy::Path);
    for balance in [Balance::RoundRobin, Balance::LeastRequests, hash] {
        for weights in [vec![1, 1, 1], vec![1, 2, 3], vec![1]] {
            let servers = servers(&weights, &UpstreamSettings::default());
            let balancer = Balancer::new(&balance, &servers, false);
            for key in 0..50 {
                let only = weights.len() - 1;
                assert_eq!(balancer.pick(&servers, key, |index| index == only), Some(only), "{balance:?}");
                assert_eq!(balancer.pick(&servers, key, |_| false), None, "{balance:?}");
            }
        }
    }
}

#[test]
fn the_less_busy_server_is_taken_and_ties_are_even() {
    let servers = servers(&[1, 1, 1], &UpstreamSettings::default());
    let balancer = Balancer::new(&Balance::LeastRequests, &servers, false);
    servers[1].requests.in_flight.store(10, Ordering::Relaxed);
    let picks: Vec<usize> = (0..300).map(|_| balancer.pick(&servers, 0, |_| true).unwrap()).collect();
    let counts = counts(&picks);
    assert_eq!(counts.get(&1), None, "of any two, the other one is less busy");
    assert!(counts[&0] > 75 && counts[&2] > 75, "{counts:?}");
}

#[test]
fn keys_stay_when_a_server_leaves_and_follow_weights() {
    let servers = servers(&[1, 1, 2, 4], &UpstreamSettings::default());
    let balancer = Balancer::new(&Balance::Hash(HashBy::Path), &servers, false);
    let pick = |key: u64, gone: usize| balancer.pick(&servers, mix(key), |index| index != gone).unwrap();
    let before: Vec<usize> = (0..8_000).map(|key| pick(key, usize::MAX)).collect();
    for (key, server) in before.iter().enumerate() {
        assert!(*server == 2 || *server == pick(key as u64, 2), "only the keys of the server that left move");
    }
    let counts = counts(&before);
    for (server, expected) in [(0, 1_000), (1, 1_000), (2, 2_000), (3, 4_000)] {
        assert!(counts[&server].abs_diff(expected) < expected / 5, "{counts:?}");
    }
}

#[test]
fn a_hash_is_the_same_on_all_gateways() {
    assert_eq!(hash(b"10.0.0.1:80"), 0xdbbc_907f_2153_1a73);
}

#[test]
fn a_server_that_comes_back_gets_less_at_first() {
    let slow = UpstreamSettings { slow_start: Some(Duration::from_secs(3600)), ..Default::default() };
    let servers = servers(&[1, 1], &slow);
    assert_eq!((servers[0].share(), servers[1].share()), (100, 100), "none has gone yet");
    servers[1].comes_back();
    let balancer = Balancer::new(&Balance::RoundRobin, &servers, true);
    let picks: Vec<usize> = (0..110).map(|_| balancer.pick(&servers, 0, |_| true).unwrap()).collect();
    assert_eq!(counts(&picks)[&1], 10, "a tenth of a full share");
}
