//! The table of running transactions.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::hooks::ApmTransaction;

/// Slots that are tried for a new transaction before it is left out.
const PROBES: usize = 32;

/// A fixed number of slots, each with its own lock, so that starts and ends hardly ever meet.
pub(crate) struct ActiveTable {
    slots: Box<[Mutex<Weak<ApmTransaction>>]>,
    running: AtomicUsize,
}

impl ActiveTable {
    pub(crate) fn new(slots: usize) -> Self {
        let slots = (0..slots.max(1)).map(|_| Mutex::new(Weak::new())).collect();
        Self { slots, running: AtomicUsize::new(0) }
    }

    /// Takes a slot; `seed` spreads transactions over the table. `None` when none was free.
    pub(crate) fn insert(&self, transaction: &Arc<ApmTransaction>, seed: u64) -> Option<usize> {
        self.running.fetch_add(1, Ordering::Relaxed);
        let first = (seed % self.slots.len() as u64) as usize;
        for at in (0..PROBES.min(self.slots.len())).map(|step| (first + step) % self.slots.len()) {
            if let Some(mut slot) = self.slots[at].try_lock()
                && slot.strong_count() == 0
            {
                *slot = Arc::downgrade(transaction);
                return Some(at);
            }
        }
        None
    }

    /// A transaction has ended; frees its slot if it had one.
    pub(crate) fn remove(&self, slot: Option<usize>) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(slot) = slot {
            let freed = std::mem::take(&mut *self.slots[slot].lock());
            drop(freed);
        }
    }

    /// How many run, listed or not.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Those that are listed.
    pub(crate) fn list(&self) -> Vec<Arc<ApmTransaction>> {
        // The lock is let go before the handle is used: the last one to drop it takes the lock again.
        self.slots.iter().filter_map(|slot| slot.lock().upgrade()).collect()
    }
}
