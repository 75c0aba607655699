//! The one way out: what goes to a provider is made here, and here it is masked.

use bytes::Bytes;
use serde_json::Value;

use crate::masking::Masker;

/// Tokens are counted by us as so many bytes each: too many rather than too few, in Korean and in English.
const BYTES_A_TOKEN: u64 = 3;

/// The body of a request, masked. Only [`seal`] makes one, and nothing else is sent.
#[derive(Debug, Clone)]
pub(crate) struct Sealed(Bytes);

/// Masks a whole request.
pub(crate) fn seal(body: Value, masker: &Masker) -> Sealed {
    Sealed(Bytes::from(masker.mask_json(body).to_text().into_string()))
}

impl Sealed {
    /// What is sent.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// About how many tokens it has.
    pub(crate) fn tokens(&self) -> u64 {
        tokens(self.0.len())
    }
}

/// About how many tokens a text has.
pub(crate) fn tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_A_TOKEN)
}
