//! One target out of several, by shares: a canary gets ten percent, say.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue, Request, Response};

use super::Target;
use crate::body::Body;
use crate::connection::Connection;
use crate::cookies::{binding_cookie, cookie};
use crate::networks::client_network;
use crate::rules::Identity;

/// How many variants a split may have.
const MAX_VARIANTS: usize = 64;

/// Whose requests go to the same variant. Who has no such thing counts by the client's address; of IPv6 by
/// its network of 64 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SplitBy {
    /// Those of one address. The default.
    #[default]
    Client,
    /// Those with one value of a header field.
    Header(HeaderName),
    /// Those with one value of a cookie that an application sets.
    Cookie(String),
    /// Those of one user, as far as [`Identity`] knows it.
    User,
    /// Those that we gave a cookie of this name, which holds the variant's name. It outlives a change of
    /// the shares. Anyone may choose a variant by it, so a variant is no secret.
    Sticky(String),
}

/// One of the targets of a [`Split`].
#[derive(Debug, Clone)]
pub struct Variant {
    name: Arc<str>,
    weight: u32,
    target: Target,
}

impl Variant {
    /// A target and its share of all weights; with zero it gets nothing but whom a sticky cookie sends. The
    /// name is the detail of its span in telemetry.
    pub fn new(name: impl Into<Arc<str>>, weight: u32, target: Target) -> Self {
        Self { name: name.into(), weight, target }
    }
}

/// Spreads requests over variants. It keeps nothing: the same key leads to the same variant, in every
/// process that has the same split. When shares change, only those move that have to.
#[derive(Debug)]
pub struct Split {
    name: Arc<str>,
    by: SplitBy,
    variants: Vec<Variant>,
    total: u64,
}

/// A split cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There is nothing to choose from, or too much.
    #[error("a split needs 2 to 64 variants")]
    Count,
    /// Nobody would go anywhere.
    #[error("at least one variant needs a weight above zero")]
    NoWeight,
    /// Two variants have one name.
    #[error("two variants are named `{0}`")]
    DuplicateName(Arc<str>),
    /// A name can be no part of a cookie.
    #[error("`{0}`: a name may hold letters, digits, `-`, `_` and `.` only")]
    BadName(Arc<str>),
    /// A variant is a split again.
    #[error("variant `{0}` is a split itself: give this one more variants instead")]
    Nested(Arc<str>),
}

impl Split {
    /// A split. Two splits of different names choose independently of each other.
    pub fn new(
        name: impl Into<Arc<str>>,
        by: SplitBy,
        variants: impl IntoIterator<Item = Variant>,
    ) -> Result<Self, SplitError> {
        let variants: Vec<_> = variants.into_iter().collect();
        if !(2..=MAX_VARIANTS).contains(&variants.len()) {
            return Err(SplitError::Count);
        }
        for (index, variant) in variants.iter().enumerate() {
            if !is_plain(&variant.name) {
                return Err(SplitError::BadName(variant.name.clone()));
            }
            if variants[..index].iter().any(|other| other.name == variant.name) {
                return Err(SplitError::DuplicateName(variant.name.clone()));
            }
            if matches!(variant.target, Target::Split(_)) {
                return Err(SplitError::Nested(variant.name.clone()));
            }
        }
        if let SplitBy::Cookie(cookie) | SplitBy::Sticky(cookie) = &by
            && !is_plain(cookie)
        {
            return Err(SplitError::BadName(cookie.as_str().into()));
        }
        let total = variants.iter().map(|variant| u64::from(variant.weight)).sum();
        if total == 0 {
            Err(SplitError::NoWeight)
        } else {
            Ok(Self { name: name.into(), by, variants, total })
        }
    }

    /// Whether the user of a request decides.
    pub(crate) fn asks_user(&self) -> bool {
        self.by == SplitBy::User
    }

    /// The targets.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.variants.iter().map(|variant| &variant.target)
    }

    /// The variant of a request, and whether its client has to be told.
    pub(super) fn choose(&self, request: &Request<Body>, connection: &Connection) -> Choice<'_> {
        let fields = request.headers();
        let key = match &self.by {
            SplitBy::Client => None,
            SplitBy::Header(name) => fields.get(name).map(HeaderValue::as_bytes),
            SplitBy::Cookie(name) => cookie(fields, name).map(str::as_bytes),
            SplitBy::User => {
                let identity = request.extensions().get::<Identity>();
                identity.and_then(|identity| identity.user.as_deref()).map(str::as_bytes)
            }
            SplitBy::Sticky(name) => {
                let given = cookie(fields, name);
                if let Some(variant) = given.and_then(|given| self.named(given)) {
                    return Choice { variant, bind: None };
                }
                None
            }
        };
        let variant = match key {
            Some(key) => self.at(key),
            None => self.at(client_network(connection.peer().ip()).to_string().as_bytes()),
        };
        let bind = if let SplitBy::Sticky(name) = &self.by { Some(name.as_str()) } else { None };
        Choice { variant, bind }
    }

    fn named(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| *variant.name == *name)
    }

    fn at(&self, key: &[u8]) -> &Variant {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.name.len() as u64).to_le_bytes()).update(self.name.as_bytes()).update(key);
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        // A point in 0..total, each as likely as the others.
        let mut point = (u128::from(u64::from_le_bytes(*first)) * u128::from(self.total)) >> 64;
        for variant in &self.variants {
            match point.checked_sub(variant.weight.into()) {
                Some(rest) => point = rest,
                None => return variant,
            }
        }
        unreachable!("the point is below the sum of all weights")
    }
}

/// Where a request goes.
pub(super) struct Choice<'s> {
    variant: &'s Variant,
    /// The cookie that tells the client.
    bind: Option<&'s str>,
}

impl<'s> Choice<'s> {
    pub(super) fn name(&self) -> &'s Arc<str> {
        &self.variant.name
    }

    pub(super) fn target(&self) -> &'s Target {
        &self.variant.target
    }

    /// Tells the client its variant, if it does not know it yet.
    pub(super) fn bind(&self, response: &mut Response<Body>, is_tls: bool) {
        let Some(cookie) = self.bind else { return };
        let value = binding_cookie(cookie, &self.variant.name, is_tls);
        let value = value.expect("names are checked when the split is made");
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
