//! Who uses the admin side, and what each may do.
//!
//! | module | what it has |
//! |---|---|
//! | [`right`] | roles and what they may: the whole matrix |
//! | [`users`] | people with passwords, from a file that is read again when it changes |
//! | [`sign_ins`] | who is signed in: cookies, their times, and their end |
//! | [`throttle`] | wrong passwords make the next try wait |
//! | [`audit`] | who has done what, as files of lines |
//! | [`mod@command`] | `iap-host user` |

pub(crate) mod audit;
mod command;
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
pub(crate) use self::right::Right;
use self::sign_ins::SignIns;
pub(crate) use self::sign_ins::{SignIn, Token};
use self::throttle::Throttle;
use self::users::UserFile;
use crate::config::{AccessConfig, Role};

/// The longest password, in bytes: hashing takes time.
const MAX_PASSWORD: usize = 1_024;

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
    /// Reads what the settings name; `tokens` are pairs of names and secrets.
    pub(crate) fn new(
        config: &AccessConfig,
        tokens: Vec<(String, String)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BoxError> {
        let users = config.users.as_ref().map(|path| UserFile::read(path, clock.clone())).transpose()?;
        let tokens = match Bearer::new(tokens) {
            Ok(tokens) => Some(tokens),
            Err(AuthError::Nobody) => None,
            Err(error) => return Err(format!("tokens: {error}").into()),
        };
        Ok(Self {
            users,
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
            let role = self.users.as_ref()?.users().role(&sign_in.name)?;
            let name = sign_in.name.as_str().into();
            Some(Caller { name, role, via: Via::Password, sign_in: Some(sign_in.id) })
        });
        let unknown = || {
            let role = self.anonymous?;
            Some(Caller { name: "anonymous".into(), role, via: Via::Anonymous, sign_in: None })
        };
        person.or_else(unknown)
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
        let (token, sign_in) = self.sign_ins.begin(name, from, agent).map_err(|error| {
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

    /// Ends a sign-in, of anybody or of one person. Whether there was one.
    pub(crate) fn sign_out(&self, id: &str, of: Option<&str>) -> bool {
        self.sign_ins.end(id, of)
    }
}

#[cfg(test)]
mod tests;
