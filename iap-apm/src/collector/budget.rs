//! Budgets by the second, and how one is divided.

/// Seconds for which an unused budget is saved up.
const SAVED: u64 = 5;

/// How many may be kept, refilled each second.
pub(super) struct Budget {
    per_second: u64,
    left: u64,
}

impl Budget {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = u64::from(per_second);
        Self { per_second, left: per_second * SAVED }
    }

    /// Takes one, if one is left.
    pub(super) fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left -= u64::from(some);
        some
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn refill(&mut self, seconds: u64) {
        let more = self.per_second.saturating_mul(seconds);
        self.left = self.left.saturating_add(more).min(self.per_second * SAVED);
    }

    /// The part of one second's budget for each of so many; at least one, unless there is no budget.
    pub(super) fn share(&self, among: u64) -> u64 {
        (self.per_second / among.max(1)).max(self.per_second.min(1))
    }
}

/// How much each may take at most, so that all together take no more than `budget`: who needs less
/// leaves the rest to the others. `u64::MAX` where there is enough for all.
pub(super) fn water_level(demands: &mut [u64], budget: u64) -> u64 {
    demands.sort_unstable();
    let (mut rest, mut takers) = (budget, demands.len() as u64);
    for demand in demands {
        if *demand > rest / takers {
            return rest / takers;
        }
        rest -= *demand;
        takers -= 1;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_less_leaves_the_rest_to_the_others() {
        let cases: [(&[u64], u64, u64); 7] = [
            (&[], 10, u64::MAX),
            (&[4, 6], 10, u64::MAX),
            (&[4, 7], 10, 6),
            (&[100, 1, 2], 10, 7),
            (&[100, 100], 10, 5),
            (&[100, 100, 1], 2, 0),
            (&[1], 0, 0),
        ];
        for (demands, budget, level) in cases {
            assert_eq!(water_level(&mut demands.to_vec(), budget), level, "{demands:?} of {budget}");
        }
    }

    #[test]
    fn an_unused_budget_is_saved_up_for_a_while() {
        let mut budget = Budget::new(2);
        assert_eq!((0..100).filter(|_| budget.take()).count(), 10);
        budget.refill(1);
        assert_eq!((0..100).filter(|_| budget.take()).count(), 2);
        budget.refill(1_000);
        assert_eq!(budget.left(), 10);
        assert_eq!((budget.share(1), budget.share(2), budget.share(9)), (2, 1, 1));
        let mut none = Budget::new(0);
        none.refill(9);
        assert_eq!((none.take(), none.share(1)), (false, 0));
    }
}
