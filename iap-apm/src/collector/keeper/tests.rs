use super::*;

const SECOND: u64 = 1;

fn keeper(per_second: u32) -> Keeper<u64> {
    Keeper::new(Keeping::per_second(per_second))
}

/// A transaction by number; the number is its duration, too.
fn ended(n: u64) -> Ended {
    let spread = crate::marks::spread(crate::testing::trace_id(n));
    Ended { duration_us: n % 1_000, failed: false, aborted: false, spread, begun: false, followed: false }
}

/// Keeps what is chosen, with weights.
fn offer(keeper: &mut Keeper<u64>, id: ClassId, ended: Ended, n: u64, kept: &mut Vec<(u64, u64)>) {
    kept.extend(keeper.offer(id, ended, n).keep);
}

fn end(keeper: &mut Keeper<u64>, kept: &mut Vec<(u64, u64)>) {
    kept.extend(keeper.settle());
    keeper.roll(SECOND);
}

fn get(keeper: &mut Keeper<u64>, route: &str, status: u16) -> ClassId {
    keeper.class(route, &Method::GET, StatusCode::from_u16(status).unwrap())
}

fn sum(kept: &[(u64, u64)]) -> u64 {
    kept.iter().map(|(_, weight)| weight).sum()
}

#[test]
fn the_weights_of_each_interval_are_what_ended_in_it() {
    let mut keeper = keeper(10);
    let id = get(&mut keeper, "orders", 200);
    for interval in 0..20 {
        let mut kept = Vec::new();
        for n in 0..interval * 317 {
            offer(&mut keeper, id, ended(interval * 100_000 + n), n, &mut kept);
        }
        end(&mut keeper, &mut kept);
        assert_eq!(sum(&kept), interval * 317, "{interval}");
        assert!(kept.len() <= 10 * 5 + 2, "{interval}: {}", kept.len());
        let numbers: std::collections::HashSet<_> = kept.iter().map(|(n, _)| n).collect();
        assert_eq!(numbers.len(), kept.len(), "each once");
    }
}

#[test]
fn whatever_is_not_kept_is_let_go() {
    let mut keeper = keeper(3);
    let id = get(&mut keeper, "orders", 200);
    let mut seen = Vec::new();
    for n in 0..5_000 {
        let choice = keeper.offer(id, ended(n), n);
        seen.extend(choice.keep.map(|(n, _)| n));
        seen.extend(choice.let_go);
        if n % 1_000 == 999 {
            seen.extend(keeper.settle().into_iter().map(|(n, _)| n));
            keeper.roll(SECOND);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..5_000).collect::<Vec<_>>(), "none is lost, none comes twice");
}

#[test]
fn a_rare_route_keeps_its_own_beside_a_busy_one() {
    let mut keeper = keeper(100);
    let (busy, rare) = (get(&mut keeper, "busy", 200), get(&mut keeper, "rare", 200));
    for interval in 0..10 {
        let (mut of_busy, mut of_rare) = (Vec::new(), Vec::new());
        for n in 0..50_000 {
            let n = interval * 100_000 + n;
            offer(&mut keeper, busy, ended(n), n, &mut of_busy);
            if n % 5_000 == 0 {
                offer(&mut keeper, rare, ended(n), n, &mut of_rare);
            }
        }
        assert_eq!(of_rare.len(), 10, "{interval}: all of them");
        assert!(of_rare.iter().all(|(_, weight)| *weight == 1));
        assert!(!of_busy.is_empty());
        end(&mut keeper, &mut of_busy);
        // The first interval may use up what was saved.
        assert!(interval == 0 || of_busy.len() <= 102, "{interval}: {}", of_busy.len());
    }
}

#[test]
fn the_same_traces_are_kept_by_several() {
    let chosen = |others: u64| {
        let mut keeper = keeper(100);
        let id = get(&mut keeper, "orders", 200);
        for n in 0..5_000 + others {
            keeper.offer(id, ended(n), n);
        }
        drop(keeper.settle());
        keeper.roll(SECOND);
        (0..5_000 + others).filter(|n| keeper.offer(id, ended(*n), *n).keep.is_some()).collect::<Vec<_>>()
    };
    let (one, other) = (chosen(0), chosen(2_000));
    let both = other.iter().filter(|n| one.contains(n)).count();
    assert!(one.len() > 50 && other.len() > 50);
    assert!(both * 10 >= other.iter().filter(|n| **n < 5_000).count() * 9, "{both} of {}", other.len());
}

#[test]
fn failed_slow_and_broken_off_ones_are_kept_up_to_their_bound() {
    let mut keeper = keeper(0);
    let (good, bad) = (get(&mut keeper, "orders", 200), get(&mut keeper, "orders", 500));
    let mut kept = Vec::new();
    for n in 0..1_000 {
        offer(&mut keeper, good, ended(n), n, &mut Vec::new());
        offer(&mut keeper, bad, Ended { failed: true, ..ended(n) }, n, &mut kept);
        offer(&mut keeper, good, Ended { duration_us: 1_000_000, ..ended(n) }, n, &mut kept);
        offer(&mut keeper, good, Ended { aborted: true, ..ended(n) }, n, &mut kept);
    }
    assert_eq!((kept.len(), sum(&kept), keeper.refused), (3_000, 3_000, 0));
    for n in 0..3_000 {
        offer(&mut keeper, bad, Ended { failed: true, ..ended(n) }, n, &mut kept);
    }
    assert_eq!((kept.len(), keeper.refused), (5_000, 1_000), "the bound of five seconds");
    end(&mut keeper, &mut kept);
    assert_eq!(sum(&kept), 7_000, "others stand for what is beyond it, and for the good ones");
}

#[test]
fn what_always_takes_long_is_ordinary() {
    let mut keeper = keeper(10);
    let id = get(&mut keeper, "reports", 200);
    let slow = |n: u64, duration_us| Ended { duration_us, ..ended(n) };
    let kept = |keeper: &mut Keeper<u64>, duration_us| {
        let kept = (0..2_000).filter(|n| keeper.offer(id, slow(*n, duration_us), *n).keep.is_some()).count();
        drop(keeper.settle());
        keeper.roll(SECOND);
        kept
    };
    assert_eq!(kept(&mut keeper, 3_000_000), 2_000, "slow by the floor");
    assert!(kept(&mut keeper, 3_000_000) < 100);
    assert!(kept(&mut keeper, 5_900_000) < 100, "not twice its p95");
    assert_eq!(keeper.offer(id, slow(1, 13_000_000), 1).keep, Some((1, 1)), "far from its p95");
}

#[test]
fn the_slowest_that_is_not_kept_is_kept_by_itself() {
    let mut keeper = keeper(1);
    let id = get(&mut keeper, "orders", 200);
    for n in 1..=5_000_u64 {
        let duration_us = if n == 2_500 { 900_000 } else { 1_000 };
        keeper.offer(id, Ended { duration_us, ..ended(n) }, n);
    }
    let paid = keeper.settle();
    assert_eq!(paid.len(), 2);
    assert_eq!(paid[0], (2_500, 1));
}

#[test]
fn an_interval_of_a_quiet_system_is_kept_whole() {
    let mut keeper = keeper(200);
    let id = get(&mut keeper, "orders", 200);
    for _ in 0..50 {
        let mut kept = Vec::new();
        (0..200).for_each(|n| offer(&mut keeper, id, ended(n), n, &mut kept));
        assert_eq!((kept.len(), sum(&kept)), (200, 200));
        assert!(keeper.settle().is_empty());
        keeper.roll(SECOND);
    }
}

#[test]
fn what_has_begun_is_kept_within_a_bound_of_its_own() {
    let mut keeper = keeper(2);
    let id = get(&mut keeper, "orders", 200);
    let mut kept = Vec::new();
    (0..10).for_each(|n| offer(&mut keeper, id, ended(n), n, &mut kept));
    keeper.settle();
    keeper.roll(SECOND);
    kept.clear();
    for n in 0..100 {
        offer(&mut keeper, id, Ended { begun: true, ..ended(n) }, n, &mut kept);
    }
    assert_eq!(kept.len(), 2 + 10, "the budget, and as many as were saved");
}

#[test]
fn routes_and_classes_are_bounded_and_totals_exact_beyond() {
    let mut keeper = keeper(5);
    let mut kept = Vec::new();
    for n in 0..10_000 {
        let id = get(&mut keeper, &format!("route {n}"), 200);
        offer(&mut keeper, id, ended(n), n, &mut kept);
    }
    assert!(keeper.routes.len() <= MAX_ROUTES && keeper.classes.len() <= MAX_CLASSES);
    end(&mut keeper, &mut kept);
    assert_eq!(sum(&kept), 10_000);
    let classes = (100..1_000).flat_map(|status| METHODS.map(|method| (status, method)));
    for (at, (status, method)) in classes.enumerate() {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let id = keeper.class(&format!("route {}", at % 100), &method, StatusCode::from_u16(status).unwrap());
        offer(&mut keeper, id, ended(at as u64), 0, &mut kept);
    }
    assert_eq!(keeper.classes.len(), MAX_CLASSES);
}
