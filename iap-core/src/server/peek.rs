//! The first bytes of a connection, looked at without taking them.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// Looks until `decide` has seen enough: at first at what is there, then after pauses of 1 ms, 2 ms, 4 ms,
/// and so on. The socket stays readable, so waiting for it would spin.
///
/// `None` after so many `pauses`. An end of the stream is an error.
pub(super) async fn peek_until<T>(
    stream: &TcpStream,
    buffer: &mut [u8],
    pauses: u32,
    decide: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    for pause in 0..pauses {
        let seen = stream.peek(buffer).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(decided) = decide(&buffer[..seen]) {
            return Ok(Some(decided));
        }
        tokio::time::sleep(Duration::from_millis(1 << pause)).await;
    }
    Ok(None)
}
