//! Sending a request to another server when one has failed on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{Method, Request, StatusCode};
use parking_lot::Mutex;

use super::forward::copy_head;
use crate::body::Body;
use crate::error::{Error, Kind, Origin};

/// Which requests are sent again. Only those without a body whose method is idempotent (RFC 9110
/// section 9.2.2) are, since the server may have acted on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often one request is sent again at most. Default: 1.
    pub attempts: u32,
    /// After which answers. Default: 502, 503, 504.
    pub statuses: Vec<StatusCode>,
    /// Whether after a broken answer, or none. Default: true.
    pub on_broken: bool,
    /// Whether after an answer that did not come in time. Default: false.
    pub on_timeout: bool,
    /// How many requests in a hundred may be sent again, over all clients, so that an outage is not
    /// made worse. Default: 20.
    pub budget_percent: u32,
    /// How many requests a second may be sent again in any case. Default: 3.
    pub budget_floor: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            statuses: vec![
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            on_broken: true,
            on_timeout: false,
            budget_percent: 20,
            budget_floor: 3,
        }
    }
}

impl Retry {
    pub(super) fn covers_status(&self, status: StatusCode) -> bool {
        self.statuses.contains(&status)
    }

    pub(super) fn covers_error(&self, error: &Error) -> bool {
        error.origin() == Origin::Upstream
            && match error.kind() {
                Kind::Timeout => self.on_timeout,
                Kind::BadGateway => self.on_broken,
                _ => false,
            }
    }
}

/// What may be spent on sending again: earned by requests and by time, bounded.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    floor: f64,
    /// Requests that were not added to the balance yet.
    earned: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    balance: f64,
    at: Instant,
}

/// How many requests may be sent again at once after a time in which none were, in seconds of the
/// floor and in requests.
const SAVINGS: (f64, f64) = (10.0, 100.0);

impl Budget {
    /// So many in a hundred, and so many a second in any case.
    pub(super) fn new(percent: u32, floor: u32) -> Self {
        let floor = f64::from(floor);
        Self {
            share: f64::from(percent) / 100.0,
            floor,
            earned: AtomicU64::new(0),
            account: Mutex::new(Account { balance: floor, at: Instant::now() }),
        }
    }

    pub(super) fn earn(&self) {
        self.earned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spend(&self) -> bool {
        let earned = self.earned.swap(0, Ordering::Relaxed) as f64 * self.share;
        let mut account = self.account.lock();
        let time = account.at.elapsed().as_secs_f64() * self.floor;
        account.at = Instant::now();
        account.balance = (account.balance + earned + time).min(self.floor * SAVINGS.0 + SAVINGS.1);
        let enough = account.balance >= 1.0;
        account.balance -= if enough { 1.0 } else { 0.0 };
        enough
    }
}

/// What one request may still try.
pub(super) struct Attempts<'a> {
    rule: Option<(&'a Retry, &'a Budget)>,
    left: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        rule: Option<(&'a Retry, &'a Budget)>,
        request: &Request<Body>,
        had_upload: bool,
    ) -> Self {
        if let Some((_, budget)) = rule {
            budget.earn();
        }
        let rule = rule.filter(|_| !had_upload && is_idempotent(request.method()));
        Self { rule, left: rule.map_or(0, |(retry, _)| retry.attempts) }
    }

    /// A copy to be sent again, as long as that is possible.
    pub(super) fn copy(&self, request: &Request<Body>) -> Option<Box<Request<Body>>> {
        (self.left > 0).then(|| copy_head(request))
    }

    /// Whether to send again after this outcome; if so, that is paid for.
    pub(super) fn again(&mut self, outcome: Result<StatusCode, &Error>) -> bool {
        let Some((retry, budget)) = self.rule.filter(|_| self.left > 0) else { return false };
        let covered = match outcome {
            Ok(status) => retry.covers_status(status),
            Err(error) => retry.covers_error(error),
        };
        let again = covered && budget.spend();
        self.left -= u32::from(again);
        again
    }
}

/// Methods without an effect on the server (RFC 9110 section 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Methods that have the same effect once and several times (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    is_safe(method) || matches!(*method, Method::PUT | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_of_the_requests_with_a_floor() {
        let spend = |budget: &Budget| (0..1_000).filter(|_| budget.spend()).count();
        let share = Budget::new(20, 0);
        assert_eq!(spend(&share), 0);
        (0..50).for_each(|_| share.earn());
        assert_eq!(spend(&share), 10);
        (0..1_000_000).for_each(|_| share.earn());
        assert_eq!(spend(&share), 100, "nothing is saved up for ever");
        let floor = Budget::new(0, 3);
        assert!(spend(&floor) >= 3);
        let none = Budget::new(0, 0);
        (0..50).for_each(|_| none.earn());
        assert_eq!(spend(&none), 0);
    }
}
