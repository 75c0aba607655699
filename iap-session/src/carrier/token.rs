//! The text that carries an id: `id`, signed or not, and perhaps the name of a node behind a dot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::SessionId;
use crate::policy::TokenKeys;

/// Characters of a signature: 16 bytes in base64url without padding.
const SIGNATURE: usize = 22;

/// Writes and reads tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tokens<'a> {
    pub(crate) keys: Option<&'a TokenKeys>,
    pub(crate) node: Option<&'a str>,
}

/// An id that a client has sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Presented {
    pub(crate) id: SessionId,
    /// Its token is not what we would write today: another key, or another node.
    pub(crate) outdated: bool,
}

impl Tokens<'_> {
    pub(crate) fn encode(&self, id: &SessionId) -> String {
        let mut token = id.encode();
        if let Some(keys) = self.keys {
            URL_SAFE_NO_PAD.encode_string(keys.sign(&id.secret()), &mut token);
        }
        if let Some(node) = self.node {
            token.push('.');
            token.push_str(node);
        }
        token
    }

    /// `None` unless it is a token of ours: then no store is asked.
    pub(crate) fn decode(&self, token: &str) -> Option<Presented> {
        let (token, node) = token.split_once('.').map_or((token, None), |(token, node)| (token, Some(node)));
        let (id, signature) = token.split_at_checked(SessionId::ENCODED_LEN)?;
        let id = SessionId::decode(id)?;
        let current = match (self.keys, signature.len()) {
            (None, 0) => true,
            // Signing was switched off.
            (None, SIGNATURE) => false,
            (Some(keys), 0) if keys.accept_unsigned => false,
            (Some(keys), SIGNATURE) => {
                let mut bytes = [0; SIGNATURE];
                let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes).ok()?;
                keys.verify(&id.secret(), bytes[..length].try_into().ok()?)?
            }
            _ => return None,
        };
        Some(Presented { id, outdated: !current || node != self.node })
    }
}

#[cfg(test)]
mod tests;
