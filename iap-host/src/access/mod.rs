//! Who uses the admin side, and what each may do.
//!
//! | module | what it has |
//! |---|---|
//! | [`right`] | roles and what they may: the whole matrix |
//! | [`users`] | people with passwords, from a file that is read again when it changes |
//! | [`oidc`] | people whom a provider knows |
//! | [`sign_ins`] | who is signed in: cookies, their times, and their end |
//! | [`throttle`] | wrong passwords make the next try wait |
//! | [`audit`] | who has done what, as files of lines |
//! | [`mod@command`] | `iap-host user` |

pub(crate) mod audit;
mod command;
mod oidc;
mod right;
mod sign_ins;
mod throttle;
mod users;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, header};
use iap_core::rules::{AuthError, Bearer};
use iap_core::{BoxError, Clock, Error, Kind, Origin};
use schemars::JsonSchema;
use serde::Serialize;

use self::audit::Audit;
pub(crate) use self::command::command;
use self::oidc::Oidc;
pub(crate) use self::oidc::{
    Back, Brought, CALLBACK, Failure, Offered, Person, Settings as OidcSettings, Way,
};
pub(crate) use self::right::Right;
use self::sign_ins::SignIns;
pub(crate) use self::sign_ins::{SignIn, Token};
use self::throttle::Throttle;
use self::users::UserFile;
use crate::config::{AccessConfig, Role};

/// The longest password, in bytes: hashing takes time.
const MAX_PASSWORD: usize = 1_024;
/// Names that stand for nobody.
const RESERVED: [&str; 3] = ["local", "anonymous", "unknown"];

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) via: Via,
    /// Which sign-in it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<String>,
}

/// How somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Via {
    /// By nothing: there are no accounts.
    Local,
    /// By nothing, where the settings let those in.
    Anonymous,
    /// By a cookie that a password was given for.
    Password,
    /// By a cookie that a provider has vouched for.
    Oidc,
    /// By a token.
    Token,
}

impl Caller {
    /// Whoever reaches a listener without accounts.
    pub(crate) fn local() -> Self {
        Self { name: "local".into(), role: Role::Admin, via: Via::Local, sign_in: None }
    }

    pub(crate) fn may(&self, right: Right) -> bool {
        right.is_of(self.role)
    }

    /// The name that something is done under: where there are no accounts the one that was given.
    pub(crate) fn signs<'a>(&'a self, given: &'a str) -> &'a str {
        if self.via == Via::Local { given } else { &self.name }
    }
}

/// The accounts of a running host.
pub(crate) struct Access {
    users: Option<UserFile>,
    oidc: Option<Oidc>,
    tokens: Option<Bearer>,
    roles: BTreeMap<String, Role>,
    anonymous: Option<Role>,
    sign_ins: SignIns,
    throttle: Throttle,
    pub(crate) audit: Audit,
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The name or the password is wrong; which is nobody's business.
    Wrong,
    /// There were too many wrong ones: in how many seconds the next try counts.
    Wait(u64),
    /// It cannot be judged now.
    Failed(Error),
}

impl Access {
    /// Reads what the settings name; `tokens` are pairs of names and secrets. The provider is not asked before it is needed.
    pub(crate) fn new(
        config: &AccessConfig,
        tokens: Vec<(String, String)>,
        oidc: Option<OidcSettings>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BoxError> {
        let users = config.users.as_ref().map(|path| UserFile::read(path, clock.clone())).transpose()?;
        let tokens = match Bearer::new(tokens) {
            Ok(tokens) => Some(tokens),
            Err(AuthError::Nobody) => None,
            Err(error) => return Err(format!("tokens: {error}").into()),
        };
        let oidc = oidc.map(|settings| Oidc::new(settings, config.secure, clock.clone()));
        Ok(Self {
            users,
            oidc: oidc.transpose().map_err(|error| format!("oidc: {error}"))?,
            tokens,
            roles: config.tokens.iter().map(|(name, token)| (name.clone(), token.role)).collect(),
            anonymous: config.anonymous,
            sign_ins: SignIns::open(config, clock.clone())?,
            throttle: Throttle::new(clock.clone()),
            audit: Audit::open(&config.directory, config.keep_audit.0, clock)?,
        })
    }

    /// Whether people can sign in with passwords.
    pub(crate) fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// Who sends a request; `None` where nobody is known and nobody may come in unknown. The role is the one of this moment:
    /// who was demoted a second ago is so at the next request.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        // Whoever shows a token is judged by that alone.
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let name = self.tokens.as_ref()?.check(given.to_str().ok()?)?;
            let role = *self.roles.get(&*name)?;
            return Some(Caller { name, role, via: Via::Token, sign_in: None });
        }
        let known = self.sign_ins.tokens(headers).find_map(|token| self.sign_ins.seen(&token));
        let person = known.and_then(|sign_in| {
            let (role, via) = self.standing(&sign_in)?;
            let name = sign_in.name.as_str().into();
            Some(Caller { name, role, via, sign_in: Some(sign_in.id) })
        });
        let unknown = || {
            let role = self.anonymous?;
            Some(Caller { name: "anonymous".into(), role, via: Via::Anonymous, sign_in: None })
        };
        person.or_else(unknown)
    }

    /// What a sign-in is worth now. A local account that has come since takes its name back.
    fn standing(&self, sign_in: &SignIn) -> Option<(Role, Via)> {
        let local = self.users.as_ref().and_then(|file| file.users().role(&sign_in.name));
        match (&sign_in.oidc, local) {
            (None, Some(role)) => Some((role, Via::Password)),
            (Some(person), None) => Some((self.oidc.as_ref()?.role(person)?, Via::Oidc)),
            _ => None,
        }
    }

    /// Signs somebody in who knows the password.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &str,
        (from, agent): (IpAddr, &str),
    ) -> Result<(Token, Caller), Refused> {
        let Some(file) = &self.users else { return Err(Refused::Wrong) };
        self.throttle.admit(name, from).map_err(Refused::Wait)?;
        if password.len() > MAX_PASSWORD {
            return Err(Refused::Wrong);
        }
        let judged = file.users().verify(name, password).await;
        let role = judged.map_err(|error| {
            self.throttle.not_judged(name, from);
            Refused::Failed(error)
        })?;
        let Some(role) = role else { return Err(Refused::Wrong) };
        self.throttle.succeeded(name, from);
        let (token, sign_in) = self.sign_ins.begin(name, None, (from, agent)).map_err(|error| {
            let text = "it cannot be kept who is signed in";
            Refused::Failed(Error::new(Kind::Unavailable, Origin::Internal, text).with_source(error))
        })?;
        let caller = Caller { name: name.into(), role, via: Via::Password, sign_in: Some(sign_in.id) };
        Ok((token, caller))
    }

    /// The cookie for a sign-in; an empty one takes it away.
    pub(crate) fn cookie(&self, token: Option<&Token>) -> String {
        self.sign_ins.cookie(token)
    }

    /// Who is signed in: all, or one person's own.
    pub(crate) fn sign_ins(&self, of: Option<&str>) -> Vec<SignIn> {
        self.sign_ins.list(of)
    }

    /// How people sign in at a provider, if they can.
    pub(crate) fn provider(&self) -> Option<Offered> {
        self.oidc.as_ref().map(Oidc::shown)
    }

    /// Finds out, for the log, whether the provider can be used: whoever has set it up hears of it before somebody signs in.
    pub(crate) async fn look_at_provider(&self) {
        if let Some(oidc) = &self.oidc {
            oidc.look().await;
        }
    }

    /// Where browsers find the console, for one that is elsewhere: a provider would not lead it back.
    pub(crate) fn elsewhere(&self, origin: &str) -> Option<&str> {
        self.oidc.as_ref()?.elsewhere(origin)
    }

    /// Begins a sign-in at the provider.
    pub(crate) async fn lead_away(
        &self,
        place: (&str, IpAddr),
        return_to: &str,
        anew: bool,
    ) -> Result<Way, Failure> {
        let oidc = self.oidc.as_ref().ok_or(Failure::Unavailable)?;
        oidc.begin(place, return_to, anew).await
    }

    /// What a browser comes back from.
    pub(crate) fn back(&self, brought: &Brought, headers: &HeaderMap) -> Option<Back> {
        self.oidc.as_ref().map(|oidc| oidc.back(brought, headers))
    }

    /// Signs somebody in whom the provider has sent back. Failures of one address make it wait as wrong passwords do.
    pub(crate) async fn come_back(
        &self,
        back: &Back,
        brought: &Brought,
        (from, agent): (IpAddr, &str),
    ) -> (Option<String>, Result<(Token, Caller, Person), Failure>) {
        let Some(oidc) = &self.oidc else { return (None, Err(Failure::Unavailable)) };
        // Each try is of a name of its own: nobody is kept out by the failures of others but by those of the address.
        let Some(attempt) = back.attempt() else { return (None, Err(Failure::Expired)) };
        if let Err(seconds) = self.throttle.admit(attempt, from) {
            return (None, Err(Failure::Wait(seconds)));
        }
        let (name, person) = match oidc.finish(back, brought).await {
            Ok(found) => found,
            Err(failure) => {
                if matches!(failure, Failure::Unavailable | Failure::Wait(_)) {
                    self.throttle.not_judged(attempt, from);
                }
                return (None, Err(failure));
            }
        };
        let result = self.let_in(oidc, &name, person, (from, agent));
        if result.is_ok() {
            self.throttle.succeeded(attempt, from);
        }
        (Some(name), result)
    }

    fn let_in(
        &self,
        oidc: &Oidc,
        name: &str,
        person: Person,
        (from, agent): (IpAddr, &str),
    ) -> Result<(Token, Caller, Person), Failure> {
        let role = oidc.role(&person).ok_or(Failure::NoRole)?;
        let is_local = self.users.as_ref().is_some_and(|file| file.users().role(name).is_some());
        let is_taken = is_local || self.roles.contains_key(name) || RESERVED.contains(&name);
        if is_taken || self.sign_ins.is_of_another(name, &person) {
            return Err(Failure::NameTaken);
        }
        let begun = self.sign_ins.begin(name, Some(person.clone()), (from, agent));
        let (token, sign_in) = begun.map_err(|error| {
            tracing::error!(%error, "it cannot be kept who is signed in");
            Failure::Unavailable
        })?;
        let caller = Caller { name: name.into(), role, via: Via::Oidc, sign_in: Some(sign_in.id) };
        Ok((token, caller, person))
    }

    /// Where somebody who signs out here signs out at the provider as well, if so.
    pub(crate) async fn end_session(&self, caller: &Caller, origin: Option<&str>) -> Option<String> {
        let oidc = self.oidc.as_ref().filter(|_| caller.via == Via::Oidc)?;
        oidc.end_session(origin).await
    }

    /// Ends a sign-in, of anybody or of one person. Whether there was one.
    pub(crate) fn sign_out(&self, id: &str, of: Option<&str>) -> bool {
        self.sign_ins.end(id, of)
    }
}

#[cfg(test)]
mod tests;
