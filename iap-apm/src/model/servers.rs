//! What has served a transaction.

use std::collections::BTreeSet;

use super::TimelineEvent;

/// The servers that a transaction went to, by address, and the managed process that its route goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers<'a> {
    pub(super) addresses: BTreeSet<&'a str>,
    pub(super) route: Option<&'a str>,
}

impl Servers<'_> {
    /// Whether an event happened to one of them: its text has the address for a word, or begins with the process and the
    /// number of an instance.
    pub fn met(&self, event: &TimelineEvent) -> bool {
        let names_one =
            || event.text.split(' ').any(|word| self.addresses.contains(word.trim_end_matches(':')));
        let instance = || event.process()?.strip_prefix(self.route?)?.strip_prefix(' ');
        names_one() || instance().is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}
