//! How much may be asked in an hour and in a day.

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Bounds on one period; what is `None` has none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// What they cost, in the currency of the prices; providers without prices cost nothing.
    pub cost: Option<f64>,
}

/// Bounds on all providers together. Hours and days are those of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BudgetSettings {
    /// On an hour.
    pub hour: Bounds,
    /// On a day.
    pub day: Bounds,
}

/// What was used in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Spent {
    /// Requests.
    pub requests: u64,
    /// Tokens, read and written.
    pub tokens: u64,
    /// What they cost.
    pub cost: f64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost += other.cost;
    }

    fn fits(self, more: Self, bounds: Bounds) -> bool {
        let all = Self {
            requests: self.requests + more.requests,
            tokens: self.tokens.saturating_add(more.tokens),
            cost: self.cost + more.cost,
        };
        bounds.requests.is_none_or(|most| all.requests <= most)
            && bounds.tokens.is_none_or(|most| all.tokens <= most)
            && bounds.cost.is_none_or(|most| all.cost <= most)
    }
}

/// A period that is counted.
#[derive(Debug, Default, Clone, Copy)]
struct Period {
    number: u64,
    spent: Spent,
    /// What calls on their way may still use.
    held: Spent,
}

/// What was used. Outlives a change of the settings.
#[derive(Debug, Default)]
pub(in crate::llm) struct Ledger(Mutex<[Period; 2]>);

/// What a call on its way may use.
#[derive(Debug, Clone, Copy)]
pub(in crate::llm) struct Hold {
    most: Spent,
    numbers: [u64; 2],
}

impl Ledger {
    /// Sets aside what a call may use at most; `None` where that is more than is left.
    pub(in crate::llm) fn hold(&self, most: Spent, settings: BudgetSettings, now_ms: u64) -> Option<Hold> {
        let mut periods = self.0.lock();
        let numbers = turn(&mut periods, now_ms);
        let bounds = [settings.hour, settings.day];
        for (period, bounds) in periods.iter().zip(bounds) {
            let mut all = period.spent;
            all.add(period.held);
            if !all.fits(most, bounds) {
                return None;
            }
        }
        periods.iter_mut().for_each(|period| period.held.add(most));
        Some(Hold { most, numbers })
    }

    /// Counts what a call has used instead of what was set aside for it.
    pub(in crate::llm) fn settle(&self, hold: Hold, used: Spent, now_ms: u64) {
        let mut periods = self.0.lock();
        turn(&mut periods, now_ms);
        for (period, number) in periods.iter_mut().zip(hold.numbers) {
            period.spent.add(used);
            // What was held in a period that is over went with it.
            if period.number == number {
                period.held.requests = period.held.requests.saturating_sub(hold.most.requests);
                period.held.tokens = period.held.tokens.saturating_sub(hold.most.tokens);
                period.held.cost = (period.held.cost - hold.most.cost).max(0.0);
            }
        }
    }

    /// What was used in this hour and in this day.
    pub(in crate::llm) fn spent(&self, now_ms: u64) -> [Spent; 2] {
        let mut periods = self.0.lock();
        turn(&mut periods, now_ms);
        periods.map(|period| period.spent)
    }
}

/// Begins anew where an hour or a day is over. Gives the numbers of both.
fn turn(periods: &mut [Period; 2], now_ms: u64) -> [u64; 2] {
    let numbers = [now_ms / HOUR_MS, now_ms / DAY_MS];
    for (period, number) in periods.iter_mut().zip(numbers) {
        if period.number != number {
            *period = Period { number, ..Period::default() };
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::{Bounds, BudgetSettings, HOUR_MS, Ledger, Spent};

    #[test]
    fn what_is_on_its_way_counts_and_an_hour_begins_anew() {
        let hour = Bounds { requests: Some(3), tokens: Some(1_000), cost: None };
        let day = Bounds { requests: None, tokens: None, cost: Some(1.0) };
        let settings = BudgetSettings { hour, day };
        let call = |tokens, cost| Spent { requests: 1, tokens, cost };
        let ledger = Ledger::default();
        let first = ledger.hold(call(600, 0.1), settings, 0).expect("there is room");
        assert!(ledger.hold(call(600, 0.1), settings, 0).is_none(), "the first one may still use it");
        ledger.settle(first, call(100, 0.1), 0);
        let second = ledger.hold(call(600, 0.1), settings, 0).expect("the first one used less");
        ledger.settle(second, call(600, 0.8), 0);
        assert_eq!(ledger.spent(0)[0], Spent { requests: 2, tokens: 700, cost: 0.9 });
        assert!(ledger.hold(call(10, 0.2), settings, HOUR_MS).is_none(), "the day's money");
        let third = ledger.hold(call(900, 0.05), settings, HOUR_MS).expect("another hour");
        ledger.settle(third, call(900, 0.0), 2 * HOUR_MS);
        assert_eq!(ledger.spent(2 * HOUR_MS)[0].tokens, 900, "counted when it is over");
        assert!(ledger.hold(call(200, 0.0), settings, 2 * HOUR_MS).is_none());
    }
}
