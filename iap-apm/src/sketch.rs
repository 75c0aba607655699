//! A log-linear histogram of durations: bounded memory, percentiles within 1.6 %.

/// Each power of two is divided into this many buckets.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts durations in buckets that are at most 1/32 of their value wide.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sketch {
    buckets: Vec<u32>,
    count: u64,
    total: u64,
    max: u64,
}

impl Sketch {
    pub(crate) fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    /// Adds a value that stands for several, or for none but the largest.
    pub(crate) fn add_many(&mut self, value: u64, times: u64) {
        let at = bucket(value);
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] = self.buckets[at].saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        self.count = self.count.saturating_add(times);
        self.total = self.total.saturating_add(value.saturating_mul(times));
        self.max = self.max.max(value);
    }

    /// Of values that were put into their buckets and counted elsewhere; more of a bucket may come later.
    pub(crate) fn of_buckets(
        buckets: impl Iterator<Item = (u16, u64)>,
        count: u64,
        total: u64,
        max: u64,
    ) -> Self {
        let mut sketch = Self { buckets: vec![0; bucket(max) + 1], count, total, max };
        for (at, number) in buckets {
            // A bucket beyond that of the largest value cannot be.
            if let Some(sum) = sketch.buckets.get_mut(usize::from(at)) {
                *sum = sum.saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
        sketch
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of all values do not exceed (nearest rank); 0 without values.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return middle(at).min(self.max);
            }
        }
        self.max
    }

    /// Adds all that another has: as if its values had been added here.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count = count.saturating_add(*more);
        }
        self.count = self.count.saturating_add(other.count);
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }

    /// How many values are not above a limit, told by their buckets.
    pub(crate) fn within(&self, limit: u64) -> u64 {
        self.buckets
            .iter()
            .enumerate()
            .filter(|(at, _)| middle(*at) <= limit)
            .map(|(_, n)| u64::from(*n))
            .sum()
    }

    /// To be stored: numbers of seven bits a byte, the buckets without those that are empty.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let buckets = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        write(&mut bytes, [self.count, self.total, self.max], buckets.map(|(at, count)| (at as u16, *count)));
        bytes
    }

    /// Adds what was stored; `None` when it is damaged, of which a part may have been added.
    pub(crate) fn merge_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let [count, total, max] = read(bytes, |at, count| {
            let at = usize::from(at);
            if at >= self.buckets.len() {
                self.buckets.resize(at + 1, 0);
            }
            self.buckets[at] = self.buckets[at].saturating_add(count);
        })?;
        self.count = self.count.saturating_add(count);
        self.total = self.total.saturating_add(total);
        self.max = self.max.max(max);
        Some(())
    }

    /// What was stored; `None` when it is damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut sketch = Self::default();
        sketch.merge_bytes(bytes)?;
        Some(sketch)
    }

    /// Makes what was added until now count half.
    pub(crate) fn halve(&mut self) {
        self.buckets.iter_mut().for_each(|count| *count /= 2);
        self.count = self.buckets.iter().map(|count| u64::from(*count)).sum();
        self.total /= 2;
    }

    /// Forgets all values, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        (self.count, self.total, self.max) = (0, 0, 0);
    }
}

/// Writes a sketch of count, total, the largest value, and its buckets in their order: as [`Sketch::to_bytes`].
pub(crate) fn write(out: &mut Vec<u8>, numbers: [u64; 3], buckets: impl Iterator<Item = (u16, u32)>) {
    numbers.into_iter().for_each(|number| write_number(out, number));
    let mut next = 0;
    for (at, count) in buckets {
        write_number(out, u64::from(at - next));
        write_number(out, u64::from(count));
        next = at + 1;
    }
}

/// Reads what was [written](write): count, total, the largest value, and each bucket by a call; `None` when it is damaged.
pub(crate) fn read(mut bytes: &[u8], mut each: impl FnMut(u16, u32)) -> Option<[u64; 3]> {
    let mut number = || read_number(&mut bytes);
    let numbers = [number()?, number()?, number()?];
    let mut next = 0_u64;
    while !bytes.is_empty() {
        let at = read_number(&mut bytes)?.checked_add(next).filter(|at| *at <= bucket(u64::MAX) as u64)?;
        each(at as u16, u32::try_from(read_number(&mut bytes)?).ok()?);
        next = at + 1;
    }
    Some(numbers)
}

pub(crate) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The number of the bucket that a value is in: below 2,000, whatever the value.
pub(crate) fn bucket(value: u64) -> usize {
    if value < 2 * STEPS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - STEP_BITS;
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

fn middle(bucket: usize) -> u64 {
    let (low, width) = bounds(bucket as u64);
    low + width / 2
}

/// The smallest value of a bucket.
pub(crate) fn low(bucket: usize) -> u64 {
    bounds(bucket as u64).0
}

/// The smallest value of a bucket, and how many it has.
fn bounds(bucket: u64) -> (u64, u64) {
    if bucket < 2 * STEPS {
        return (bucket, 1);
    }
    let shift = bucket / STEPS - 1;
    ((bucket - shift * STEPS) << shift, 1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_narrow() {
        let mut last = 0;
        for value in 0..200_000 {
            let at = bucket(value);
            assert!(at == last || at == last + 1, "{value}");
            last = at;
            let error = middle(at).abs_diff(value);
            assert!(error * 62 <= value, "{value} is read as {}", middle(at));
        }
        assert!(middle(bucket(u64::MAX)) > u64::MAX / 2);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.percentile(95), 0);
        (1..=60).for_each(|value| sketch.add(value));
        assert_eq!((sketch.percentile(50), sketch.percentile(95), sketch.percentile(100)), (30, 57, 60));
        sketch.clear();
        assert_eq!((sketch.count(), sketch.percentile(50)), (0, 0));
    }

    #[test]
    fn merged_and_stored_it_is_what_it_was() {
        let (mut all, mut parts) = (Sketch::default(), [Sketch::default(), Sketch::default()]);
        for n in 0..4_000_u64 {
            let value = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64);
            all.add_many(value, n % 3);
            parts[(n % 2) as usize].add_many(value, n % 3);
        }
        let [mut merged, other] = parts.map(|part| Sketch::from_bytes(&part.to_bytes()).expect("as written"));
        merged.merge(&other);
        merged.buckets.resize(all.buckets.len(), 0);
        assert_eq!(merged, all);
        assert_eq!(merged.within(u64::MAX), all.count());
        assert_eq!(Sketch::from_bytes(&Sketch::default().to_bytes()), Some(Sketch::default()));
        let bytes = other.to_bytes();
        for end in 0..bytes.len().min(40) {
            // Whatever is missing: no panic, and never more than there was.
            let cut = Sketch::from_bytes(&bytes[..end]);
            assert!(cut.is_none_or(|cut| cut.within(u64::MAX) <= other.count()));
        }
        for damaged in [[0xff; 24].as_slice(), &[0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 1]] {
            assert_eq!(Sketch::from_bytes(damaged), None);
        }
    }

    #[test]
    fn a_value_may_stand_for_several_and_old_ones_fade() {
        let mut sketch = Sketch::default();
        sketch.add_many(10, 7);
        sketch.add_many(20, 3);
        sketch.add_many(40, 0);
        assert_eq!((sketch.count(), sketch.total(), sketch.max()), (10, 130, 40));
        assert_eq!((sketch.percentile(70), sketch.percentile(71)), (10, 20));
        sketch.halve();
        assert_eq!((sketch.count(), sketch.percentile(75), sketch.percentile(76)), (4, 10, 20));
    }
}
