//! Metrics that nobody scrapes; in a process of its own, since a process has one recorder and one allocator.

use std::time::{Duration, Instant};

use iap_apm::Apm;
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn allocated() -> usize {
    epoch::advance().and_then(|_| stats::allocated::read()).expect("jemalloc tells")
}

#[tokio::test]
async fn histograms_do_not_grow_until_somebody_scrapes_them() {
    const VALUES: u32 = 4_000_000;
    iap_apm::metrics::install().expect("installed");
    let apm = Apm::builder().build().expect("an APM");
    let histogram = metrics::histogram!("checkout_duration_seconds");
    histogram.record(0.001);
    let before = allocated();
    (1..VALUES).for_each(|n| histogram.record(f64::from(n % 100) / 1_000.0));
    let begun = Instant::now();
    while allocated() > before + (4 << 20) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes wait", allocated() - before);
        // What was folded is given back as others go on.
        histogram.record(0.001);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // All of them are counted.
    let text = apm.prometheus().expect("installed");
    let count = text.lines().find_map(|line| line.strip_prefix("checkout_duration_seconds_count "));
    assert!(count.and_then(|count| count.parse::<u32>().ok()) >= Some(VALUES), "{text}");
}
