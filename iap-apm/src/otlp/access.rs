//! Who may send: secrets that senders show, and the services that each stands for.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};

use super::status::Refusal;

/// A secret that a sender shows as `Authorization: Bearer …`, in HTTP's fields or in gRPC's metadata.
#[derive(Clone)]
pub struct OtlpToken {
    /// Only its hash is kept: two hashes are compared in constant time, whatever was sent.
    hash: blake3::Hash,
    services: Option<Arc<[String]>>,
}

impl OtlpToken {
    /// A secret; who knows it may report for these services only, or for any when there are none.
    pub fn new(secret: &str, services: impl IntoIterator<Item = String>) -> Self {
        let services: Arc<[String]> = services.into_iter().collect();
        let services = Some(services).filter(|services| !services.is_empty());
        Self { hash: blake3::hash(secret.as_bytes()), services }
    }
}

impl fmt::Debug for OtlpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpToken").field("services", &self.services).finish_non_exhaustive()
    }
}

/// What a sender may report.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender {
    /// Of any service when `None`.
    services: Option<Arc<[String]>>,
}

impl Sender {
    pub(super) fn may_report(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.iter().any(|name| name == service))
    }

    /// Whether it may report for every service, and so of nodes.
    pub(super) fn may_report_all(&self) -> bool {
        self.services.is_none()
    }
}

/// Who sends: anybody when there are no tokens.
pub(super) fn sender(tokens: &[OtlpToken], headers: &HeaderMap) -> Result<Sender, Refusal> {
    if tokens.is_empty() {
        return Ok(Sender::default());
    }
    let refused = |message| Refusal::new(StatusCode::UNAUTHORIZED, message);
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(refused("a token is needed: authorization: Bearer TOKEN"));
    };
    let given =
        bearer(field.as_bytes()).ok_or_else(|| refused("the authorization must be a bearer token"))?;
    let hash = blake3::hash(given);
    // All are compared, so that the time says nothing about which one it was.
    let known = tokens.iter().fold(None, |known, token| if token.hash == hash { Some(token) } else { known });
    let token = known.ok_or_else(|| refused("the token is not known"))?;
    Ok(Sender { services: token.services.clone() })
}

/// The token of RFC 6750; the scheme's name in any case.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii()).filter(|token| !token.is_empty())
}
