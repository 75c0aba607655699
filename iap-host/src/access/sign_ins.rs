//! Who is signed in. A browser holds a random token in a cookie; here is its digest alone, and a file keeps those for the next
//! process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use http::{HeaderMap, header};
use iap_core::Clock;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oidc::Person;
use crate::config::AccessConfig;
use crate::kept;

/// Sign-ins at a time; the one that was seen least recently makes room.
const MAX_SIGN_INS: usize = 10_000;
/// Of one person.
const MAX_OF_ONE: usize = 20;
/// The longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 160;
/// How often it is written down when somebody was seen last.
const KEEP_SEEN_MS: u64 = 60_000;
/// Bytes of a token.
const TOKEN: usize = 32;

/// A secret that a browser holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// A new one, that nobody can guess.
    pub(super) fn random() -> io::Result<Self> {
        let mut bytes = [0; TOKEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Its text, for where it is no cookie of a sign-in.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SignIn {
    /// Names it; of no use for signing in.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) began_ms: u64,
    pub(crate) seen_ms: u64,
    pub(crate) from: IpAddr,
    pub(crate) agent: String,
    /// What a provider has said of the person, where no password was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oidc: Option<Person>,
}

/// All of them.
pub(super) struct SignIns {
    clock: Arc<dyn Clock>,
    idle_ms: u64,
    absolute_ms: u64,
    /// The same for those whom a provider knows.
    oidc_ms: u64,
    secure: bool,
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<String, SignIn>,
    written_ms: u64,
}

impl SignIns {
    /// Goes on with those of the process before.
    pub(super) fn open(config: &AccessConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(&config.directory)?;
        let file = config.directory.join("sign-ins.json");
        // One that cannot be read only means that people sign in again.
        let before: Vec<SignIn> = kept::read(&file, "sign-ins");
        let by_id = before.into_iter().take(MAX_SIGN_INS).map(|one| (one.id.clone(), one)).collect();
        let known = Mutex::new(Known { by_id, written_ms: clock.now_ms() });
        let milliseconds = |span: crate::config::Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            clock,
            idle_ms: milliseconds(config.idle),
            absolute_ms: milliseconds(config.absolute),
            oidc_ms: milliseconds(config.oidc.as_ref().map_or(config.absolute, |oidc| oidc.lifetime)),
            secure: config.secure,
            file,
            known,
        })
    }

    /// With `__Host-` no other host and no plain connection can set it (RFC 6265bis section 4.1.3.2).
    fn cookie_name(&self) -> &'static str {
        if self.secure { "__Host-iap_admin" } else { "iap_admin" }
    }

    /// The tokens in a request's cookies.
    pub(super) fn tokens<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = Token> + use<'a> {
        cookies(headers, self.cookie_name()).map(|value| Token(value.to_owned()))
    }

    /// The field that sets the cookie, or takes it away. `Lax` lets a link from elsewhere open the console; what changes things
    /// is kept from other sites by the guard.
    pub(super) fn cookie(&self, token: Option<&Token>) -> String {
        let name = self.cookie_name();
        let secure = if self.secure { "; Secure" } else { "" };
        match token {
            Some(Token(token)) => {
                let seconds = self.absolute_ms / 1_000;
                format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
            }
            None => format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"),
        }
    }

    /// Begins one.
    pub(super) fn begin(
        &self,
        name: &str,
        oidc: Option<Person>,
        (from, agent): (IpAddr, &str),
    ) -> io::Result<(Token, SignIn)> {
        let token = Token::random()?;
        let now = self.clock.now_ms();
        let agent = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect();
        let id = id(&token);
        let sign_in =
            SignIn { id: id.clone(), name: name.to_owned(), began_ms: now, seen_ms: now, from, agent, oidc };
        let mut known = self.known.lock();
        known.by_id.retain(|_, other| !self.is_over(other, now));
        while known.by_id.values().filter(|other| other.name == name).count() >= MAX_OF_ONE {
            remove_stalest(&mut known.by_id, |other| other.name == name);
        }
        if known.by_id.len() >= MAX_SIGN_INS {
            remove_stalest(&mut known.by_id, |_| true);
        }
        known.by_id.insert(id, sign_in.clone());
        self.write(&mut known, now)?;
        Ok((token, sign_in))
    }

    /// Whose a token is, if its time is not over.
    pub(super) fn seen(&self, token: &Token) -> Option<SignIn> {
        let now = self.clock.now_ms();
        let mut known = self.known.lock();
        let sign_in = known.by_id.get_mut(&id(token))?;
        if self.is_over(sign_in, now) {
            let id = sign_in.id.clone();
            known.by_id.remove(&id);
            return None;
        }
        sign_in.seen_ms = now;
        let sign_in = sign_in.clone();
        if now.saturating_sub(known.written_ms) >= KEEP_SEEN_MS
            && let Err(error) = self.write(&mut known, now)
        {
            tracing::error!(path = %self.file.display(), %error, "who is signed in could not be kept");
        }
        Some(sign_in)
    }

    /// Those whose time is not over, the one that was seen last first.
    pub(super) fn list(&self, of: Option<&str>) -> Vec<SignIn> {
        let now = self.clock.now_ms();
        let known = self.known.lock();
        let theirs = known
            .by_id
            .values()
            .filter(|one| !self.is_over(one, now) && of.is_none_or(|name| one.name == name));
        let mut list: Vec<SignIn> = theirs.cloned().collect();
        drop(known);
        list.sort_by(|a, b| b.seen_ms.cmp(&a.seen_ms).then_with(|| a.id.cmp(&b.id)));
        list
    }

    /// Whether somebody else whom the same provider knows is signed in under a name.
    pub(super) fn is_of_another(&self, name: &str, person: &Person) -> bool {
        let signed_in = self.list(Some(name));
        signed_in.iter().filter_map(|one| one.oidc.as_ref()).any(|other| other.is_another(person))
    }

    /// Ends one. Whether there was such a one.
    pub(super) fn end(&self, id: &str, of: Option<&str>) -> bool {
        let now = self.clock.now_ms();
        let mut known = self.known.lock();
        let is_theirs = |one: &SignIn| of.is_none_or(|name| one.name == name);
        if known.by_id.get(id).is_none_or(|one| !is_theirs(one)) {
            return false;
        }
        known.by_id.remove(id);
        if let Err(error) = self.write(&mut known, now) {
            tracing::error!(path = %self.file.display(), %error, "a sign-out could not be kept");
        }
        true
    }

    fn is_over(&self, sign_in: &SignIn, now: u64) -> bool {
        let longest =
            if sign_in.oidc.is_some() { self.absolute_ms.min(self.oidc_ms) } else { self.absolute_ms };
        now.saturating_sub(sign_in.seen_ms) > self.idle_ms || now.saturating_sub(sign_in.began_ms) > longest
    }

    /// Whole or not at all. Held under the lock: the order of the files is that of the changes.
    fn write(&self, known: &mut Known, now: u64) -> io::Result<()> {
        known.written_ms = now;
        kept::write(&self.file, &known.by_id.values().collect::<Vec<_>>())
    }
}

/// The values of a cookie in a request: more than one where another host of the domain has set it as well.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| *name == wanted).take(4).map(|(_, value)| value)
}

/// What a token is known by.
fn id(token: &Token) -> String {
    blake3::hash(token.0.as_bytes()).to_hex().to_string()
}

fn remove_stalest(known: &mut HashMap<String, SignIn>, may_go: impl Fn(&SignIn) -> bool) {
    let stalest =
        known.values().filter(|one| may_go(one)).min_by_key(|one| one.seen_ms).map(|one| one.id.clone());
    if let Some(id) = stalest {
        known.remove(&id);
    }
}
