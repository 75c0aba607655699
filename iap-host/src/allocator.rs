//! The allocator, and what it says of itself: readings of a sample.
//!
//! It is jemalloc, which tells how much is allocated without that anybody counts. It is built for the pages of the machine that builds
//! it, and larger ones stop it at the start; `JEMALLOC_SYS_WITH_LG_PAGE=16` makes a binary for pages of up to 64 KiB.
//! Libraries in C keep the system's: in the place of `malloc` it would be called before it can begin by what is preloaded to show other
//! clocks (libfaketime).

use iap_apm::MetricKind;
use iap_apm::runtime::Reading;
use tikv_jemalloc_ctl::{Result, epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How much memory is in use, and how much is taken for that. Takes some microseconds.
pub(crate) fn readings() -> Vec<Reading> {
    read().unwrap_or_default()
}

fn read() -> Result<Vec<Reading>> {
    // The numbers are those of the last time that they were brought up to date.
    epoch::advance()?;
    let reading = |name, bytes: usize| Reading::new(name, MetricKind::Gauge, "By", bytes as f64);
    Ok(vec![
        reading("allocator.memory.allocated", stats::allocated::read()?),
        reading("allocator.memory.active", stats::active::read()?),
        reading("allocator.memory.resident", stats::resident::read()?),
        reading("allocator.memory.retained", stats::retained::read()?),
        reading("allocator.memory.metadata", stats::metadata::read()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(name: &str) -> f64 {
        readings().iter().find(|reading| reading.name == name).unwrap().value
    }

    #[test]
    fn what_is_taken_is_told_until_it_is_given_back() {
        const TAKEN: usize = 64 << 20;
        let before = level("allocator.memory.allocated");
        // Small blocks and a large one: other tests take and give back meanwhile, but not that much.
        let small: Vec<_> = (0..TAKEN / 512 / 2).map(|_| vec![1_u8; 512]).collect();
        let large = vec![1_u8; TAKEN / 2];
        let taken = level("allocator.memory.allocated");
        assert!(taken - before > TAKEN as f64 * 0.8, "{before} {taken}");
        assert!(level("allocator.memory.active") > TAKEN as f64);
        assert!(level("allocator.memory.resident") > TAKEN as f64);
        drop((small, large));
        let after = level("allocator.memory.allocated");
        assert!(taken - after > TAKEN as f64 * 0.8, "{taken} {after}");
    }
}
