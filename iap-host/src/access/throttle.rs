//! Wrong passwords make the next try wait: by name and address, so that nobody is kept out by what others try elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use iap_core::Clock;
use parking_lot::Mutex;

/// Wrong ones in a row that cost nothing: of one name, and of all names from one address.
const FREE: u32 = 5;
const FREE_OF_ADDRESS: u32 = 50;
/// The longest wait.
const LONGEST_S: u64 = 300;
/// After this long without a wrong one all is forgotten.
const FORGET_MS: u64 = 900_000;
/// Names and addresses that are remembered.
const MAX_KNOWN: usize = 10_000;

/// Counts wrong passwords.
pub(super) struct Throttle {
    clock: Arc<dyn Clock>,
    wrong: Mutex<HashMap<Who, Wrong>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    from: IpAddr,
    /// None: any.
    name: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last_ms: u64,
}

impl Wrong {
    /// Until when a try does not count.
    fn until_ms(self, free: u32) -> u64 {
        let beyond = self.count.saturating_sub(free);
        let wait_s = if beyond == 0 { 0 } else { LONGEST_S.min(1 << beyond.min(16)) };
        self.last_ms + wait_s * 1_000
    }
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, wrong: Mutex::default() }
    }

    /// Whether a try counts now; else in how many seconds one does. One that does counts as wrong until it has
    /// [succeeded](Self::succeeded): many at once are not judged by what was known before the first of them.
    pub(super) fn admit(&self, name: &str, from: IpAddr) -> Result<(), u64> {
        let now = self.clock.now_ms();
        let mut wrong = self.wrong.lock();
        let until =
            keys(name, from).map(|(who, free)| wrong.get(&who).map_or(0, |known| known.until_ms(free)));
        match until.into_iter().max() {
            Some(until) if until > now => return Err((until - now).div_ceil(1_000)),
            _ => {}
        }
        if wrong.len() >= MAX_KNOWN {
            wrong.retain(|_, known| known.last_ms + FORGET_MS > now);
        }
        for (who, _) in keys(name, from) {
            let is_full = wrong.len() >= MAX_KNOWN;
            match wrong.get_mut(&who) {
                Some(known) if known.last_ms + FORGET_MS > now => {
                    *known = Wrong { count: known.count.saturating_add(1), last_ms: now };
                }
                // Of an address there is one, however many names it tries.
                _ if is_full && who.name.is_some() => {}
                _ => {
                    wrong.insert(who, Wrong { count: 1, last_ms: now });
                }
            }
        }
        Ok(())
    }

    /// The password was right: what was wrong before is forgiven to the name, and this try to the address.
    pub(super) fn succeeded(&self, name: &str, from: IpAddr) {
        let [(of_name, _), (of_address, _)] = keys(name, from);
        let mut wrong = self.wrong.lock();
        wrong.remove(&of_name);
        self.take_back(&mut wrong, &of_address);
    }

    /// The password was not judged.
    pub(super) fn not_judged(&self, name: &str, from: IpAddr) {
        let mut wrong = self.wrong.lock();
        for (who, _) in keys(name, from) {
            self.take_back(&mut wrong, &who);
        }
    }

    fn take_back(&self, wrong: &mut HashMap<Who, Wrong>, who: &Who) {
        if let Some(known) = wrong.get_mut(who) {
            known.count = known.count.saturating_sub(1);
        }
    }
}

fn keys(name: &str, from: IpAddr) -> [(Who, u32); 2] {
    let name = name.chars().take(64).collect();
    [(Who { from, name: Some(name) }, FREE), (Who { from, name: None }, FREE_OF_ADDRESS)]
}
