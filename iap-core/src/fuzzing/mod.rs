//! What must hold for any bytes at all: the bodies of the fuzz targets in `fuzz/`, and a test each that
//! runs them over the corpus there. Not part of the library.
//!
//! | function | holds up |
//! |---|---|
//! | [`gate`] | the strict gate, and the canonical form of paths |
//! | [`router`] | the route table, against a search through all routes |
//! | [`clients`] | who is behind proxies: PROXY headers, `X-Forwarded-For`, `Forwarded` |
//! | [`scan`] | the bytes below the parser, however they are cut |

mod clients;
mod gate;
mod router;
#[cfg(test)]
mod tests;

pub use self::clients::clients;
pub use self::gate::gate;
pub use self::router::router;
use crate::server::fuzz_scan;

/// Cuts a stream of requests as its first byte says, and compares with the stream in one piece.
pub fn scan(data: &[u8]) {
    fuzz_scan(data);
}
