//! What tells one version of a file from another, and the conditions that clients put on it
//! (RFC 9110 sections 8.8 and 13).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::entity_tag::{is_strongly, is_weakly, members};

/// A file that changed less than this ago may change again without a new time: some file systems
/// keep whole or even seconds only. Its tag is weak until then.
const SETTLED: Duration = Duration::from_secs(2);

/// The validators of one version. A file whose time is the epoch, as reproducible builds set it, has
/// none: every version would have the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    /// An entity tag with its quotes.
    pub(super) tag: Option<String>,
    /// In whole seconds, never in the future.
    pub(super) modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl Validators {
    /// Of a file as it is now; `coding` tells representations of one file apart.
    pub(super) fn of(metadata: &Metadata, coding: Option<&str>, now: SystemTime) -> Self {
        let Ok(seconds) = u64::try_from(metadata.mtime()) else { return Self::default() };
        if seconds <= 1 {
            return Self::default();
        }
        let nanos = metadata.mtime_nsec().unsigned_abs();
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, u32::try_from(nanos).unwrap_or(0));
        let is_settled = now.duration_since(modified).is_ok_and(|age| age >= SETTLED);
        let weak = if is_settled { "" } else { "W/" };
        let coding = coding.map(|coding| format!("-{coding}")).unwrap_or_default();
        let tag = format!("{weak}\"{seconds:x}.{nanos:x}-{:x}{coding}\"", metadata.len());
        Self { tag: Some(tag), modified: Some(whole_seconds(modified.min(now))) }
    }

    /// Evaluates the conditions in the order of RFC 9110 section 13.2.2.
    pub(super) fn check(&self, fields: &HeaderMap) -> Verdict {
        if fields.contains_key(IF_MATCH) {
            if !self.matches(fields, IF_MATCH, is_strongly) {
                return Verdict::Failed;
            }
        } else if date(fields, IF_UNMODIFIED_SINCE)
            .is_some_and(|date| self.modified.is_none_or(|modified| modified > date))
        {
            return Verdict::Failed;
        }
        if fields.contains_key(IF_NONE_MATCH) {
            if self.matches(fields, IF_NONE_MATCH, is_weakly) {
                return Verdict::NotModified;
            }
        } else if let (Some(modified), Some(date)) = (self.modified, date(fields, IF_MODIFIED_SINCE))
            && modified <= date
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Whether a `Range` counts: there is no `If-Range`, or it names exactly this version.
    pub(super) fn allow_range(&self, fields: &HeaderMap) -> bool {
        let mut values = fields.get_all(IF_RANGE).iter();
        let Some(value) = values.next() else { return true };
        let Some(text) = value.to_str().ok().filter(|_| values.next().is_none()) else { return false };
        if text.starts_with('"') || text.starts_with("W/") {
            return self.tag.as_deref().is_some_and(|tag| is_strongly(tag, text));
        }
        // A date is strong only where the tag is (RFC 9110 section 8.8.2.2).
        let is_strong = self.tag.as_deref().is_some_and(|tag| tag.starts_with('"'));
        is_strong && self.modified.is_some() && httpdate::parse_http_date(text).ok() == self.modified
    }

    fn matches(&self, fields: &HeaderMap, name: HeaderName, equal: fn(&str, &str) -> bool) -> bool {
        let lists = fields.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lists
            .flat_map(members)
            .any(|theirs| theirs == "*" || self.tag.as_deref().is_some_and(|tag| equal(tag, theirs)))
    }

    /// The fields that carry them, for 200, 206 and 304.
    pub(super) fn fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let tag = self.tag.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok());
        let modified = self.modified.map(httpdate::fmt_http_date);
        let modified = modified.and_then(|date| HeaderValue::from_str(&date).ok());
        let tag = tag.map(|tag| (http::header::ETAG, tag));
        tag.into_iter().chain(modified.map(|date| (http::header::LAST_MODIFIED, date)))
    }
}

/// The date of a field that is there once; others are ignored, as RFC 9110 asks.
fn date(fields: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut values = fields.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
