//! A second question where the answer to the first one is late.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request, Response};

use super::Upstream;
use super::balance::ServerSet;
use super::choose::Affinity;
use super::exchange::Exchange;
use super::forward::copy_head;
use super::retry::{Budget, is_safe};
use crate::body::Body;
use crate::error::Error;
use crate::hooks::Hooks;

/// Asks a second server when the first one has not answered for a while; the first good answer is
/// taken, and the other request given up. It helps against single slow answers, and makes an overload
/// worse: hence the budget. Only GET, HEAD and OPTIONS without a body are asked twice, and only where any
/// server may answer: not for clients that are bound to one, nor where servers are chosen by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first server has to itself. The 95th or 99th percentile of its times is a good
    /// choice.
    pub after: Duration,
    /// How many requests in a hundred may be asked twice. Default: 5.
    pub budget_percent: u32,
}

impl Hedge {
    /// Asks a second server after this time, for up to 5 requests in a hundred.
    pub fn after(after: Duration) -> Self {
        Self { after, budget_percent: 5 }
    }
}

/// Which server a request is with.
#[derive(Debug)]
pub(super) struct Chosen(AtomicUsize);

impl Default for Chosen {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl Chosen {
    pub(super) fn set(&self, index: usize) {
        self.0.store(index, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|index| *index != usize::MAX)
    }
}

/// The settings with what may be spent.
#[derive(Debug)]
pub(super) struct Hedging {
    after: Duration,
    budget: Budget,
}

impl Hedging {
    pub(super) fn new(hedge: &Hedge) -> Self {
        Self { after: hedge.after, budget: Budget::new(hedge.budget_percent, 0) }
    }
}

impl Upstream {
    /// How a request may be asked twice, if it may.
    pub(super) fn hedging(&self, method: &Method, affinity: &Affinity) -> Option<&Hedging> {
        let hedging = self.hedging.as_ref()?;
        hedging.budget.earn();
        let may = is_safe(method) && self.servers.len() > 1 && !affinity.is_strict();
        may.then_some(hedging)
    }
}

/// Sends a request, and a copy of it to another server if the answer is late. `other` is an exchange for
/// the copy, with `second` to tell where it is.
pub(super) async fn race<H: Hooks>(
    hedging: &Hedging,
    exchange: &mut Exchange<'_, H>,
    (other, second): (&mut Exchange<'_, H>, &Chosen),
    request: Box<Request<Body>>,
    affinity: Affinity,
) -> Result<Response<Body>, Error> {
    let (upstream, chosen, copy) = (exchange.upstream, exchange.chosen, copy_head(&request));
    let mut first = pin!(exchange.send_until_answered(request, affinity, false));
    if let Ok(result) = tokio::time::timeout(hedging.after, first.as_mut()).await {
        return result;
    }
    let mut tried = ServerSet::default();
    if let Some(index) = chosen.get() {
        tried.insert(index);
    }
    // One that still waits for a place is not helped by another that does.
    let place = upstream.admit_now(&affinity, &mut tried, &mut ServerSet::default());
    let Some(ticket) = place.filter(|_| chosen.get().is_some() && hedging.budget.spend()) else {
        return first.await;
    };
    upstream.metrics.hedges.increment(1);
    let mut copied = pin!(other.send_once(ticket, copy));
    tokio::select! {
        biased;
        result = first.as_mut() => match result {
            Ok(response) => Ok(response),
            Err(error) => copied.await.map_err(|_| error),
        },
        result = copied.as_mut() => match result {
            Ok(response) if !response.status().is_server_error() => {
                if let Some(index) = second.get() {
                    chosen.set(index);
                }
                Ok(response)
            }
            _ => first.await,
        },
    }
}
