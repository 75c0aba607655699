//! What a client is told of its limit (draft-ietf-httpapi-ratelimit-headers-10).

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How much of a limit is left to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The limit itself.
    pub(super) policy: HeaderValue,
    /// The limit's name.
    pub(super) name: &'static str,
    /// Requests that would be let through at once.
    pub(super) left: u64,
    /// Seconds until the whole limit is free again.
    pub(super) reset: u64,
}

impl Standing {
    /// The one with less left.
    pub(super) fn tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.left < self.left => other,
            _ => self,
        }
    }

    /// The value of `RateLimit`.
    pub(super) fn value(&self) -> HeaderValue {
        let text = format!("\"{}\";r={};t={}", self.name, self.left, self.reset);
        HeaderValue::from_str(&text).expect("a name of ours and numbers")
    }

    /// Tells it with a response that says nothing of the kind yet.
    pub(crate) fn mark(self, fields: &mut HeaderMap) {
        if fields.contains_key(RATE_LIMIT) {
            return;
        }
        fields.insert(RATE_LIMIT, self.value());
        fields.insert(RATE_LIMIT_POLICY, self.policy);
    }
}
