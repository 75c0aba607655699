//! The sketch that requests are counted in: any thread adds, nobody waits.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::sketch::{REGISTERS, Sketch, place};

/// Registers of a byte each.
#[derive(Debug)]
pub(super) struct LiveSketch {
    registers: Box<[AtomicU8]>,
    is_touched: AtomicBool,
}

impl LiveSketch {
    pub(super) fn new() -> Self {
        let registers = (0..REGISTERS).map(|_| AtomicU8::new(0)).collect();
        Self { registers, is_touched: AtomicBool::new(false) }
    }

    pub(super) fn add(&self, hash: u64) {
        let (index, rank) = place(hash);
        let register = &self.registers[index];
        if register.load(Ordering::Relaxed) < rank {
            register.fetch_max(rank, Ordering::Relaxed);
            self.is_touched.store(true, Ordering::Release);
        }
    }

    /// What was added since the last time. A member that comes at this moment may count for the next.
    pub(super) fn take(&self) -> Sketch {
        let mut taken = Sketch::new();
        if self.is_touched.swap(false, Ordering::Acquire) {
            for (index, register) in self.registers.iter().enumerate() {
                if register.load(Ordering::Relaxed) > 0 {
                    taken.raise(index, register.swap(0, Ordering::Relaxed));
                }
            }
        }
        taken
    }
}
