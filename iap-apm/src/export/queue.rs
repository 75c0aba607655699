//! Requests that wait to be sent, the oldest first.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Signal;
use super::ledger::Book;

/// Requests that wait, and their bytes.
const MAX_PARCELS: usize = 256;
const MAX_BYTES: usize = 16 << 20;

/// One request.
#[derive(Clone)]
pub(super) struct Parcel {
    pub(super) signal: Signal,
    pub(super) records: u64,
    /// As it is sent.
    pub(super) body: Bytes,
    /// Where it is noted what becomes of it.
    pub(super) book: Arc<Book>,
}

#[derive(Default)]
pub(super) struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// Whether the first one is on its way, and so is not dropped.
    sending: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Adds a request; those that had to go for it.
    pub(super) fn push(&mut self, parcel: Parcel) -> Vec<Parcel> {
        self.bytes += parcel.body.len();
        self.parcels.push_back(parcel);
        let mut dropped = Vec::new();
        let oldest = usize::from(self.sending);
        while (self.parcels.len() > MAX_PARCELS || self.bytes > MAX_BYTES) && self.parcels.len() > oldest + 1
        {
            if let Some(parcel) = self.parcels.remove(oldest) {
                self.bytes -= parcel.body.len();
                dropped.push(parcel);
            }
        }
        dropped
    }

    /// The first one, which is on its way from now on.
    pub(super) fn begin(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.front().cloned();
        self.sending = parcel.is_some();
        parcel
    }

    /// The attempt has ended; the request, when it is not to be sent again.
    pub(super) fn end(&mut self, again: bool) -> Option<Parcel> {
        self.sending = false;
        if again {
            return None;
        }
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.body.len();
        Some(parcel)
    }

    /// All that is left.
    pub(super) fn clear(&mut self) -> Vec<Parcel> {
        (self.sending, self.bytes) = (false, 0);
        self.parcels.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(records: u64, bytes: usize) -> Parcel {
        let book = Arc::new(Book::new(Signal::Metrics));
        Parcel { signal: Signal::Metrics, records, body: Bytes::from(vec![0; bytes]), book }
    }

    #[test]
    fn the_oldest_go_but_for_the_one_on_its_way() {
        let mut queue = Queue::default();
        for n in 0..MAX_PARCELS as u64 {
            assert!(queue.push(parcel(n, 1)).is_empty());
        }
        assert_eq!(queue.begin().map(|parcel| parcel.records), Some(0));
        let dropped: Vec<u64> = queue.push(parcel(1_000, 1)).iter().map(|parcel| parcel.records).collect();
        assert_eq!(dropped, [1]);
        assert_eq!(queue.end(false).map(|parcel| parcel.records), Some(0));
        assert_eq!(queue.begin().map(|parcel| parcel.records), Some(2));
        assert!(queue.end(true).is_none(), "it stays to be sent again");
        // A large one takes the room of all others, and is kept itself.
        assert_eq!(queue.push(parcel(2_000, MAX_BYTES)).len(), MAX_PARCELS - 1);
        assert_eq!(queue.clear().iter().map(|parcel| parcel.records).collect::<Vec<_>>(), [2_000]);
        assert!(queue.is_empty() && queue.begin().is_none());
    }
}
