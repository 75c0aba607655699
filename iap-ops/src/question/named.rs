//! What a question names besides routes: a trace, a session, a user, a limit.

use schemars::JsonSchema;
use serde::Serialize;

use super::is_hangul;

/// Digits of a trace id, and of a session in a transaction.
const TRACE_DIGITS: usize = 32;
const SESSION_DIGITS: usize = 16;
/// Characters of a user's name.
const MAX_USER: usize = 100;

/// The things that a question names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Named {
    /// A trace, as 32 hexadecimal digits.
    pub trace: Option<String>,
    /// A session, by the first 16 digits of its key.
    pub session: Option<String>,
    /// A user, as written.
    pub user: Option<String>,
    /// Requests a second that are not to be exceeded.
    pub limit_per_second: Option<f64>,
}

/// Words after `user` that name nobody.
const NOBODY: [&str; 34] = [
    "activity",
    "activities",
    "count",
    "counts",
    "requests",
    "by",
    "is",
    "are",
    "with",
    "send",
    "sends",
    "now",
    "right",
    "online",
    "at",
    "in",
    "on",
    "the",
    "today",
    "yesterday",
    "numbers",
    "session",
    "sessions",
    "activty",
    "did",
    "who",
    "and",
    "or",
    "were",
    "there",
    "have",
    "has",
    "visits",
    "concurrency",
];

/// What stands for a user in Korean, before or after the name.
const KOREAN_USER: [&str; 4] = ["사용자", "유저", "회원", "고객"];

/// Reads a question, in the case it was written in.
pub(super) fn read(text: &str) -> Named {
    let words = words(text);
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let mut named = Named { limit_per_second: limit(&lower), ..Named::default() };
    for word in &lower {
        let hex = word.bytes().all(|b| b.is_ascii_hexdigit()) && word.bytes().any(|b| b.is_ascii_digit());
        match word.len() {
            TRACE_DIGITS if hex => named.trace = Some(word.clone()),
            SESSION_DIGITS | 64 if hex => named.session = word.get(..SESSION_DIGITS).map(str::to_owned),
            _ => {}
        }
    }
    if named.trace.is_none() && named.session.is_none() {
        named.user = user(&words, &lower);
    }
    named
}

/// Words, with what names are made of; Hangul after Latin is a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<bool> = None;
    let chars: Vec<char> = text.chars().collect();
    // `2,000` is one number.
    let in_number = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
        chars[at] == ',' && digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    for (at, c) in chars.iter().copied().enumerate() {
        let kind = match c {
            _ if in_number(at) => Some(false),
            _ if is_hangul(c) => Some(true),
            _ if c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+') => Some(false),
            _ => None,
        };
        match (kind, words.last_mut()) {
            (Some(_), Some(word)) if kind == before => word.push(c),
            (Some(_), _) => words.push(c.into()),
            (None, _) => {}
        }
        before = kind;
    }
    for word in &mut words {
        let kept = word.trim_end_matches(['.', '-']).len();
        word.truncate(kept);
    }
    words.retain(|word| !word.is_empty());
    words
}

fn user(words: &[String], lower: &[String]) -> Option<String> {
    let name = |at: usize| {
        let word = words.get(at).filter(|word| word.len() <= MAX_USER && !word.starts_with(is_hangul))?;
        (!NOBODY.contains(&lower[at].as_str())).then(|| word.clone())
    };
    for (at, word) in lower.iter().enumerate() {
        let address = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        if address {
            return Some(words[at].clone());
        }
        let korean = KOREAN_USER.contains(&word.as_str());
        let found = match word.as_str() {
            "user" => name(at + 1),
            _ if korean => name(at + 1).or_else(|| at.checked_sub(1).and_then(name)),
            _ if word.starts_with('님')
                || KOREAN_USER.iter().any(|user| word.starts_with(user) && before_name(word, user)) =>
            {
                at.checked_sub(1).and_then(name)
            }
            // `what did alice do`
            "did" | "has" | "is"
                if lower
                    .get(at + 2)
                    .is_some_and(|verb| matches!(verb.as_str(), "do" | "doing" | "done" | "been")) =>
            {
                name(at + 1).filter(|name| {
                    !matches!(
                        name.to_lowercase().as_str(),
                        "it" | "everything"
                            | "we"
                            | "you"
                            | "everyone"
                            | "system"
                            | "performance"
                            | "user"
                            | "this"
                            | "that"
                            | "what"
                            | "who"
                    )
                })
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `사용자가`, `사용자는` and the like, after a name.
fn before_name(word: &str, user: &str) -> bool {
    matches!(&word[user.len()..], "가" | "는" | "의" | "를" | "이" | "은")
}

/// `1000 rps`, `초당 500건`, `800 requests per second`.
fn limit(words: &[String]) -> Option<f64> {
    let number = |word: &str| {
        let digits: String =
            word.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '.')).collect();
        let rest = word[digits.len()..].to_owned();
        let value: f64 = digits.replace(',', "").parse().ok()?;
        (value.is_finite() && value > 0.0 && value < 1e9).then_some((value, rest))
    };
    for (at, word) in words.iter().enumerate() {
        let Some((value, rest)) = number(word) else { continue };
        let next = words.get(at + 1).map_or("", String::as_str);
        let after = words.get(at + 2).map_or("", String::as_str);
        let unit = if rest.is_empty() { next } else { &rest };
        let per_second = matches!(unit, "rps" | "tps" | "qps" | "req/s" | "rps를" | "tps를")
            || (matches!(unit, "requests" | "transactions") && after == "per");
        let korean = at > 0
            && words[at - 1] == "초당"
            && (next.starts_with('건') || next.starts_with("요청") || next.starts_with('회'));
        if per_second || korean {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn users_sessions_traces_and_limits_are_found() {
        let user = |text: &str| read(text).user;
        assert_eq!(user("사용자 Alice의 활동"), Some("Alice".to_owned()));
        assert_eq!(user("alice님 활동"), Some("alice".to_owned()));
        assert_eq!(user("what did bob do"), Some("bob".to_owned()));
        assert_eq!(user("a.b@example.com 이 뭐 했어"), Some("a.b@example.com".to_owned()));
        for nobody in [
            "user activity",
            "most active users",
            "사용자 활동",
            "how many users are online",
            "what is it doing",
        ] {
            assert_eq!(user(nobody), None, "{nobody}");
        }
        assert_eq!(read("session 0123456789ABCDEF").session.as_deref(), Some("0123456789abcdef"));
        assert_eq!(read("trace 4bf92f3577b34da6a3ce929d0e0e4736").trace.map(|id| id.len()), Some(32));
        for (text, limit) in [
            ("1000 rps를 넘을 확률", Some(1000.0)),
            ("초당 2,000건을 넘을 확률", Some(2000.0)),
            ("more than 1.5 rps", Some(1.5)),
            ("500 requests per second", Some(500.0)),
            ("top 5 routes", None),
        ] {
            assert_eq!(read(text).limit_per_second, limit, "{text}");
        }
    }
}
