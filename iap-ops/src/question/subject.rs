//! Which routes a question names.

use std::collections::BTreeSet;

use super::{MAX_CHARS, is_hangul};

/// Words of the questions themselves: a route of such a name is meant only as `/status` or in quotes.
const VOCABULARY: &[&str] = &[
    "broken",
    "failed",
    "fails",
    "healthy",
    "incident",
    "issues",
    "outage",
    "a",
    "all",
    "any",
    "anything",
    "are",
    "did",
    "down",
    "error",
    "errors",
    "everything",
    "fail",
    "failing",
    "fine",
    "for",
    "health",
    "in",
    "is",
    "it",
    "last",
    "me",
    "now",
    "ok",
    "other",
    "problem",
    "right",
    "slow",
    "status",
    "tell",
    "the",
    "there",
    "time",
    "to",
    "today",
    "what",
    "why",
    "with",
    "wrong",
    "yesterday",
    "active",
    "activity",
    "backend",
    "by",
    "capacity",
    "change",
    "changes",
    "compare",
    "db",
    "detail",
    "history",
    "hour",
    "kind",
    "load",
    "month",
    "online",
    "page",
    "pages",
    "path",
    "performance",
    "process",
    "processes",
    "queries",
    "query",
    "report",
    "request",
    "requests",
    "route",
    "routes",
    "server",
    "servers",
    "session",
    "sessions",
    "show",
    "slowest",
    "sql",
    "trace",
    "traffic",
    "transaction",
    "transactions",
    "upstream",
    "upstreams",
    "user",
    "users",
    "week",
    "문제",
    "장애",
    "경로",
    "사용자",
    "성능",
    "세션",
    "에러",
    "오류",
    "용량",
    "쿼리",
    "트랜잭션",
];

/// What may follow a Korean route name in the same word.
const PARTICLES: [&str; 30] = [
    "가",
    "이",
    "은",
    "는",
    "을",
    "를",
    "의",
    "에",
    "에서",
    "에서는",
    "에는",
    "에도",
    "도",
    "만",
    "와",
    "과",
    "로",
    "으로",
    "랑",
    "이랑",
    "나",
    "이나",
    "쪽",
    "쪽은",
    "쪽이",
    "부터",
    "까지",
    "경로",
    "경로가",
    "경로는",
];

/// Those of the known routes that are whole words of the text, in the order of their names. A longer
/// name hides the shorter ones in it.
pub(crate) fn named_routes(text: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let mut text: String = text.chars().take(MAX_CHARS).collect::<String>().to_lowercase();
    let mut routes: Vec<(String, &str)> = known.iter().map(|route| (route.to_lowercase(), *route)).collect();
    routes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let mut named = BTreeSet::new();
    let mut last = String::new();
    for (lower, route) in routes.into_iter().filter(|(lower, _)| !lower.trim().is_empty()) {
        // Names that differ in case only are named together.
        if lower == last {
            named.insert(route.to_owned());
            continue;
        }
        let found = places(&text, &lower);
        for at in &found {
            text.replace_range(*at..at + lower.len(), &"\u{1}".repeat(lower.len()));
        }
        if !found.is_empty() {
            named.insert(route.to_owned());
            last = lower;
        }
    }
    named.into_iter().collect()
}

fn places(text: &str, route: &str) -> Vec<usize> {
    let whole = |(at, found): &(usize, &str)| {
        let (before, after) = (&text[..*at], &text[at + found.len()..]);
        begins(before, route) && ends(after, route) && (!VOCABULARY.contains(&route) || marked(before))
    };
    text.match_indices(route).filter(whole).map(|(at, _)| at).collect()
}

fn marked(before: &str) -> bool {
    before.ends_with(['/', '"', '\'', '`'])
}

/// Whether a route may begin after this text.
fn begins(before: &str, route: &str) -> bool {
    let mut back = before.chars().rev();
    match back.next() {
        None => true,
        Some('.' | '/' | ':') => !back.next().is_some_and(char::is_alphanumeric),
        Some(c) if is_hangul(c) => !route.starts_with(is_hangul),
        Some(c) => !(c.is_alphanumeric() || c == '-' || c == '_'),
    }
}

/// Whether a route may end before this text.
fn ends(after: &str, route: &str) -> bool {
    let mut ahead = after.chars();
    match ahead.next() {
        None => true,
        Some('.' | '/' | ':') => !ahead.next().is_some_and(char::is_alphanumeric),
        // After Latin letters Hangul begins another word, or a particle.
        Some(c) if is_hangul(c) => {
            let run: String = after.chars().take_while(|c| is_hangul(*c)).collect();
            !route.ends_with(is_hangul) || PARTICLES.contains(&run.as_str())
        }
        Some(c) => !(c.is_alphanumeric() || c == '-' || c == '_'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_whole_words() {
        let known = BTreeSet::from([
            "search",
            "shop-search",
            "검색",
            "/api/v2/orders",
            "orders",
            "status",
            "users",
            "Pay",
        ]);
        let cases: [(&str, &[&str]); 16] = [
            ("anything wrong with search?", &["search"]),
            ("search가 왜 느려요", &["search"]),
            ("왜search가느려요", &["search"]),
            ("research is slow", &[]),
            ("shop-search is slow", &["shop-search"]),
            ("search, orders: what is wrong?", &["orders", "search"]),
            ("검색이 느려요", &["검색"]),
            ("검색엔진이 느려요", &[]),
            ("/api/v2/orders slow", &["/api/v2/orders"]),
            ("/orders slow.", &["orders"]),
            ("status", &[]),
            ("is /status slow", &["status"]),
            ("pay is slow", &["Pay"]),
            ("", &[]),
            ("how many users are online", &[]),
            ("is /users slow", &["users"]),
        ];
        for (text, expected) in cases {
            assert_eq!(named_routes(text, &known), expected, "{text}");
        }
    }
}
