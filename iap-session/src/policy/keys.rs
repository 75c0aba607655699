//! The keys that tokens are signed with.

use std::fmt;
use std::sync::Arc;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionIds;

/// Signs the ids that clients are given. An id is secret and cannot be guessed without a signature, too;
/// with one, a made-up id is turned away before a store is asked, so that a flood of them costs the
/// cluster nothing.
///
/// Keys are replaced without logging anybody out: sign with the new one, keep the former ones
/// for as long as sessions live. A token of a former key is written anew when its session is used.
#[derive(Clone)]
pub struct TokenKeys {
    /// The first one signs.
    keys: Arc<[[u8; 32]]>,
    /// Tokens without a signature are taken, too: while signing is introduced. Default `false`.
    pub accept_unsigned: bool,
}

impl TokenKeys {
    /// The most keys at a time.
    pub const MAX: usize = 8;

    /// Signs with `current`; what was signed with one of `former` is still good.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] for a secret shorter than [`SessionIds::MIN_SECRET`], or more than
    /// [`TokenKeys::MAX`] of them.
    pub fn new(current: &[u8], former: &[&[u8]]) -> Result<Self, StoreError> {
        let invalid = |text: String| Err(StoreError::new(StoreErrorKind::Invalid, text));
        if former.len() >= Self::MAX {
            return invalid(format!("at most {} keys may sign session ids", Self::MAX));
        }
        let secrets = || std::iter::once(current).chain(former.iter().copied());
        if secrets().any(|secret| secret.len() < SessionIds::MIN_SECRET) {
            return invalid(format!("a key that signs needs at least {} bytes", SessionIds::MIN_SECRET));
        }
        let derive = |secret| blake3::derive_key("iap-session 2026 token signature", secret);
        Ok(Self { keys: secrets().map(derive).collect(), accept_unsigned: false })
    }

    pub(crate) fn sign(&self, id: &[u8]) -> [u8; 16] {
        signature(&self.keys[0], id)
    }

    /// `None` for a wrong signature, else whether it is of today's key.
    pub(crate) fn verify(&self, id: &[u8], sent: [u8; 16]) -> Option<bool> {
        // `blake3::Hash` compares in constant time.
        let whole = |half: [u8; 16]| {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&half);
            blake3::Hash::from_bytes(bytes)
        };
        let sent = whole(sent);
        let of = self.keys.iter().position(|key| whole(signature(key, id)) == sent)?;
        Some(of == 0)
    }
}

fn signature(key: &[u8; 32], id: &[u8]) -> [u8; 16] {
    let hash = blake3::keyed_hash(key, id);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Without the keys.
impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
