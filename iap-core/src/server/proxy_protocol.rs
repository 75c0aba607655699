//! The PROXY protocol, versions 1 and 2, as HAProxy's specification describes it: a proxy that forwards
//! bytes says first whose they are.

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::peek::peek_until;

/// The longest header that is read, with its extensions, in bytes.
const MAX_HEADER: usize = 1024;
/// How often the rest of a header is waited for: 1 ms, 2 ms, 4 ms, and so on.
const PAUSES: u32 = 12;

/// Takes the header off the stream. `None` where the proxy speaks for itself, as in a health check.
/// An error for anything else.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut buffer = [0; MAX_HEADER];
    let decide = |seen: &[u8]| {
        let header = HeaderResult::parse(seen);
        (seen.len() == MAX_HEADER || header.is_complete()).then(|| interpret(&header))
    };
    let decided = peek_until(stream, &mut buffer, PAUSES, decide).await?;
    let (length, source) = decided.ok_or(io::ErrorKind::InvalidData)??;
    stream.read_exact(&mut buffer[..length]).await?;
    Ok(source)
}

/// The length of the header, and the client it names.
fn interpret(header: &HeaderResult<'_>) -> io::Result<(usize, Option<SocketAddr>)> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    match header {
        HeaderResult::V1(result) => {
            let header = result.as_ref().map_err(|_| ()).map_err(invalid)?;
            let source = match header.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(a) => Some((a.source_address, a.source_port).into()),
                v1::Addresses::Tcp6(a) => Some((a.source_address, a.source_port).into()),
            };
            Ok((header.header.len(), source))
        }
        HeaderResult::V2(result) => {
            let header = result.as_ref().map_err(|_| ()).map_err(invalid)?;
            let source = match header.addresses {
                v2::Addresses::IPv4(a) => Some((a.source_address, a.source_port).into()),
                v2::Addresses::IPv6(a) => Some((a.source_address, a.source_port).into()),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
            };
            Ok((header.len(), source.filter(|_| header.command == v2::Command::Proxy)))
        }
    }
}
