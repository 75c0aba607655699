//! From notions to an intent: rules in order, the first that holds wins.

use super::concepts::*;
use super::named::Named;
use super::time::AskedTime;
use super::{Intent, concepts};

/// Questions that are nothing else.
const WHOLE: [(&str, Intent); 13] = [
    ("status", Intent::WhatIsWrong),
    ("health", Intent::WhatIsWrong),
    ("errors", Intent::WhatIsWrong),
    ("상태", Intent::WhatIsWrong),
    ("에러", Intent::WhatIsWrong),
    ("오류", Intent::WhatIsWrong),
    ("report", Intent::PerformanceReport),
    ("보고서", Intent::PerformanceReport),
    ("sessions", Intent::SessionStatus),
    ("users", Intent::ConcurrentUsers),
    ("rps", Intent::PerformanceReport),
    ("tps", Intent::PerformanceReport),
    ("queries", Intent::SlowestSql),
];

/// What is known of a question besides its notions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hints<'a> {
    pub(super) named: &'a Named,
    /// The times in it.
    pub(super) times: &'a [AskedTime],
}

/// Reads lower-case text.
pub(super) fn read(text: &str, hints: Hints<'_>) -> Intent {
    let letters: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    if let Some((_, intent)) = WHOLE.iter().find(|(whole, _)| *whole == letters) {
        return *intent;
    }
    match decide(concepts::read(text), hints) {
        // Mistakes are looked for only where nothing else was found.
        Intent::Unknown => decide(concepts::read_with_mistakes(text), hints),
        intent => intent,
    }
}

fn decide(n: Notions, hints: Hints<'_>) -> Intent {
    subject(n, hints)
        .or_else(|| ahead_or_compared(n, hints))
        .or_else(|| estate(n, hints))
        .or_else(|| measured(n, hints))
        .or_else(|| acute(n))
        .unwrap_or(Intent::Unknown)
}

/// About one transaction, user or session.
fn subject(n: Notions, hints: Hints<'_>) -> Option<Intent> {
    if hints.named.trace.is_some() {
        return Some(Intent::Transaction);
    }
    if hints.named.session.is_some() || hints.named.user.is_some() {
        return Some(Intent::Activity);
    }
    let many = n.any(USER) && (n.any(DOING) || n.has(TOP | REQUEST));
    // `active users` are those that are there now, the most active ones those with the most requests.
    let counted = n.any(CONCURRENT | HOW_MANY) && !n.any(TOP);
    let heavy = n.has(USER | SLOW | TOP) || n.has(USER | SLOW_ONES);
    ((many || heavy) && !counted && !n.any(FAIL | CHANGE)).then_some(Intent::Activity)
}

/// About the time to come, or about two times.
fn ahead_or_compared(n: Notions, hints: Hints<'_>) -> Option<Intent> {
    let future = n.any(FUTURE) || hints.times.contains(&AskedTime::NextMonth);
    let measured = n.any(TRAFFIC | PERFORMANCE | CAPACITY | SERVER | STATE);
    let other = n.any(FAIL | CHANGE | SESSION | CAUSE) && !measured;
    if n.any(CAPACITY) || hints.named.limit_per_second.is_some() || (future && !other) {
        return Some(Intent::Capacity);
    }
    let than_then = n.any(THAN) && hints.times.iter().any(|time| time.is_calendar());
    let two = hints.times.len() == 2 && hints.times.iter().all(|time| time.is_calendar());
    let two = two && !n.any(CAUSE | FAIL | SLOW | ACUTE);
    (n.any(COMPARE) || than_then || two).then_some(Intent::Compare)
}

/// About what there is: changes, users, sessions, servers.
fn estate(n: Notions, _: Hints<'_>) -> Option<Intent> {
    let asked = n.any(RECORD | ASK | CONFIG | WHICH | HOW_MANY | CHANGE);
    if n.any(CHANGE) && asked && !n.has(SERVER | HOW_MANY) && !n.any(FAIL | COMPLAINT | SESSION | ACUTE) {
        return Some(Intent::Changes);
    }
    if n.any(PEOPLE | CONCURRENT) && !n.any(SESSION | FAIL | SQL | PERFORMANCE | TRAFFIC | CONFIG) {
        let count = n.any(HOW_MANY | CONCURRENT | RECORD) || n.has(PEOPLE | STATE);
        let acute = n.any(ACUTE | CAUSE | SLOW | SERVER);
        if n.any(PEOPLE) && count && !acute {
            return Some(Intent::ConcurrentUsers);
        }
        if n.any(CONCURRENT) && !acute && !n.any(ASK) && !n.any(ROUTE | REQUEST | STATE) {
            return Some(Intent::ConcurrentUsers);
        }
    }
    if n.any(SESSION) && !n.any(CAUSE | REQUEST) {
        return Some(Intent::SessionStatus);
    }
    let server = n.any(SERVER) && !n.any(SLOW | CAUSE | BOTTLENECK | RECORD | KIND);
    (server && (n.any(STATE | HOW_MANY | FAIL | ACUTE | WHICH | CHANGE | ASK) || n.has(SERVER)))
        .then_some(Intent::Health)
}

/// About what was measured.
fn measured(n: Notions, hints: Hints<'_>) -> Option<Intent> {
    if n.any(SQL) && (n.any(SLOW | TOP | WHICH | REMEDY | PERFORMANCE | ASK | BOTTLENECK) || !n.any(FAIL)) {
        // `drop table transactions` names none.
        return Some(Intent::SlowestSql);
    }
    if n.any(BOTTLENECK) || (n.any(REMEDY) && n.any(SLOW | PERFORMANCE | WHICH | ASK | TOP) && !n.any(FAIL)) {
        if n.any(TRACE | REQUEST) && n.any(SLOW_ONES) && n.any(SINGLE | TOP) {
            return Some(Intent::Transaction);
        }
        let shop = n.any(REMEDY) && !n.any(BOTTLENECK | SLOW | PERFORMANCE);
        let tuned = !shop || n.any(ASK | WHICH);
        return tuned.then_some(Intent::Bottleneck);
    }
    if n.any(FAIL) {
        if n.has(FAIL | KIND) || (n.any(TOP | WHICH) && !n.any(CAUSE | RECORD | ACUTE) && !past(hints)) {
            return Some(Intent::ErrorsByKind);
        }
        let one = n.any(TRACE) || (n.any(REQUEST) && n.any(SINGLE));
        if one && !n.any(RECORD) {
            return Some(Intent::Transaction);
        }
        if !n.any(CAUSE) && (n.any(RECORD) || past(hints)) {
            return Some(Intent::PastFailures);
        }
        return None;
    }
    if n.any(TRACE) || (n.any(REQUEST) && n.any(SLOW_ONES | SINGLE) && !n.any(KIND) && !ranked(n)) {
        return Some(Intent::Transaction);
    }
    if n.any(SLOW)
        && n.any(ROUTE | REQUEST)
        && (n.any(TOP | WHICH | KIND | RECORD) || n.any(SLOW_ONES))
        && !n.any(CAUSE)
    {
        return (!definite(n)).then_some(Intent::SlowestRoutes);
    }
    if ((n.any(SLOW_ONES) && n.any(TOP)) || (n.has(ROUTE | RANK) && n.any(SLOW | PERFORMANCE)))
        && !n.any(CAUSE)
    {
        return Some(Intent::SlowestRoutes);
    }
    report(n, hints)
}

fn report(n: Notions, hints: Hints<'_>) -> Option<Intent> {
    if n.any(CAUSE | ACUTE | COMPLAINT) {
        return None;
    }
    let about = n.any(PERFORMANCE | TRAFFIC | SLOW)
        || (!hints.times.is_empty() && !n.any(STATE))
        || (n.any(ASK) && !n.any(STATE));
    (n.any(PERFORMANCE) || n.has(SLOW | REPORT) || (n.any(REPORT) && about))
        .then_some(Intent::PerformanceReport)
}

/// About what is wrong.
fn acute(n: Notions) -> Option<Intent> {
    let slow = n.any(COMPLAINT) || n.has(SLOW | CAUSE) || n.any(SLOW_ONES);
    (n.any(FAIL | ACUTE | FINE) || slow || n.has(CAUSE | STATE)).then_some(Intent::WhatIsWrong)
}

/// Slow requests in the plural, by rank.
fn ranked(n: Notions) -> bool {
    n.any(ROUTE | RANK) || (n.any(WHICH) && !n.any(SINGLE))
}

/// `the page is slow` is a complaint about one.
fn definite(n: Notions) -> bool {
    n.any(COMPLAINT) && !n.any(TOP | WHICH | RECORD | KIND | SLOW_ONES)
}

/// A period that is over, longer than a day.
fn past(hints: Hints<'_>) -> bool {
    hints.times.iter().any(|time| time.is_long())
}
