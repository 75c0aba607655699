use super::*;
use crate::testing::summary;

fn add(live: &LiveState, row: &TransactionSummary) {
    live.count(row.start_us, row.duration_us, row.failed);
    live.show(row);
}

#[test]
fn points_are_numbered_and_what_is_gone_is_counted() {
    let live = LiveState::new(3);
    for n in 0..5 {
        add(&live, &summary(n + 1, 1_000_000 * n, 10));
    }
    let page = live.recent_since(0);
    assert_eq!((page.points.len(), page.next_seq, page.missed), (3, 5, 2));
    assert_eq!(page.points[0].seq, 2);
    assert_eq!(live.recent_since(4).points.len(), 1);
    let ahead = live.recent_since(99);
    assert_eq!((ahead.points.len(), ahead.next_seq, ahead.missed), (0, 5, 0));
}

#[test]
fn seconds_are_by_the_end_and_leave_after_two_minutes() {
    let live = LiveState::new(3);
    let base = 1_000 * 1_000_000;
    add(&live, &summary(1, base + 900_000, 200_000));
    let mut failed = summary(2, base + 1_500_000, 50);
    failed.failed = true;
    add(&live, &failed);
    let seconds = live.seconds(base + 2_000_000);
    assert_eq!(seconds.len(), LIVE_SECONDS);
    let hit: Vec<_> = seconds.iter().filter(|second| second.count > 0).collect();
    assert_eq!(hit.len(), 1);
    assert_eq!((hit[0].start_us, hit[0].count, hit[0].errors, hit[0].p50_us), (base + 1_000_000, 2, 1, 50));
    let later = live.seconds(base + 200 * 1_000_000);
    assert!(later.iter().all(|second| second.count == 0));
    // The slot of the old second is used again, and an older one does not come back.
    add(&live, &summary(3, base + 121 * 1_000_000, 7));
    add(&live, &summary(4, base + 1_000_000, 7));
    let seconds = live.seconds(base + 121 * 1_000_000);
    assert_eq!(seconds.iter().map(|second| second.count).sum::<u64>(), 1);
}
