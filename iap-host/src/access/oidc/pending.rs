//! Sign-ins that people have begun. Each belongs to the browser that holds its cookie, for some minutes, and is finished once.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use iap_core::Clock;
use parking_lot::Mutex;

use crate::access::sign_ins::{Token, cookies};

/// How long somebody may take at the provider.
const LONGEST_S: u64 = 600;
/// At a time: in all, and from one address. The oldest makes room.
const MAX: usize = 10_000;
const MAX_OF_ADDRESS: usize = 200;
/// Characters of a state that name its cookie, so that two windows of one browser do not take each other's.
const NAME: usize = 12;

/// One of them.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) nonce: String,
    /// The code verifier (RFC 7636 section 4.1).
    pub(super) verifier: String,
    pub(super) redirect_uri: String,
    /// The view of the console that was wanted.
    pub(super) return_to: String,
    pub(super) began_ms: u64,
    from: IpAddr,
    /// What the cookie of the browser is known by.
    browser: blake3::Hash,
}

/// All of them, by their `state`.
pub(super) struct Pendings {
    clock: Arc<dyn Clock>,
    secure: bool,
    by_state: Mutex<HashMap<String, Pending>>,
}

impl Pendings {
    pub(super) fn new(secure: bool, clock: Arc<dyn Clock>) -> Self {
        Self { clock, secure, by_state: Mutex::default() }
    }

    /// Begins one: its state, and the field that sets its cookie.
    pub(super) fn begin(
        &self,
        redirect_uri: String,
        return_to: String,
        from: IpAddr,
    ) -> io::Result<(String, Pending, String)> {
        let [state, nonce, verifier, secret] =
            [Token::random()?, Token::random()?, Token::random()?, Token::random()?].map(Token::into_text);
        let now = self.clock.now_ms();
        let browser = blake3::hash(secret.as_bytes());
        let pending = Pending { nonce, verifier, redirect_uri, return_to, began_ms: now, from, browser };
        let mut by_state = self.by_state.lock();
        by_state.retain(|_, one| !is_over(one, now));
        if by_state.values().filter(|one| one.from == from).count() >= MAX_OF_ADDRESS {
            remove_oldest(&mut by_state, |one| one.from == from);
        }
        if by_state.len() >= MAX {
            remove_oldest(&mut by_state, |_| true);
        }
        by_state.insert(state.clone(), pending.clone());
        drop(by_state);
        let cookie = self.cookie(&state, &secret, LONGEST_S);
        Ok((state, pending, cookie))
    }

    /// Takes the one of a state, if this browser has begun it. Who only knows the state cannot end it.
    pub(super) fn take(&self, state: &str, headers: &HeaderMap) -> Option<Pending> {
        let name = self.cookie_name(state);
        let shown: Vec<_> = cookies(headers, &name).map(|secret| blake3::hash(secret.as_bytes())).collect();
        let now = self.clock.now_ms();
        let mut by_state = self.by_state.lock();
        if !shown.contains(&by_state.get(state)?.browser) {
            return None;
        }
        by_state.remove(state).filter(|one| !is_over(one, now))
    }

    /// The field that takes the cookie of a state away.
    pub(super) fn without_cookie(&self, state: &str) -> String {
        self.cookie(state, "", 0)
    }

    /// `Lax`: it must come along when the provider leads the browser back.
    fn cookie(&self, state: &str, secret: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.cookie_name(state);
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    fn cookie_name(&self, state: &str) -> String {
        let prefix = if self.secure { "__Host-iap_oidc" } else { "iap_oidc" };
        // Of a state that a client makes up only what a name may have goes into a field.
        let name: String = state.chars().filter(char::is_ascii_hexdigit).take(NAME).collect();
        format!("{prefix}_{name}")
    }
}

fn is_over(pending: &Pending, now: u64) -> bool {
    now.saturating_sub(pending.began_ms) > LONGEST_S * 1_000
}

fn remove_oldest(by_state: &mut HashMap<String, Pending>, may_go: impl Fn(&Pending) -> bool) {
    let oldest = by_state.iter().filter(|(_, one)| may_go(one)).min_by_key(|(_, one)| one.began_ms);
    if let Some(state) = oldest.map(|(state, _)| state.clone()) {
        by_state.remove(&state);
    }
}
