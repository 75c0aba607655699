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
/// How headers of version 1 and of version 2 begin.
const TEXT: &[u8] = b"PROXY";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, with its line end.
const MAX_LINE: usize = 107;
/// How often the rest of a header is waited for: 1 ms, 2 ms, 4 ms, and so on.
const PAUSES: u32 = 12;

/// Takes the header off the stream. `None` where the proxy speaks for itself, as in a health check.
/// An error for anything else.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut buffer = [0; MAX_HEADER];
    let decided = peek_until(stream, &mut buffer, PAUSES, decide).await?;
    let (length, source) = decided.ok_or(io::ErrorKind::InvalidData)??;
    stream.read_exact(&mut buffer[..length]).await?;
    Ok(source)
}

/// What the first bytes of a connection say, once they are enough.
fn decide(seen: &[u8]) -> Option<io::Result<(usize, Option<SocketAddr>)>> {
    if seen.starts_with(TEXT) {
        return decide_line(&seen[..seen.len().min(MAX_LINE)]);
    }
    if seen.starts_with(BINARY) {
        let header = HeaderResult::parse(seen);
        return (seen.len() == MAX_HEADER || header.is_complete()).then(|| interpret(&header));
    }
    let may_become_one = TEXT.starts_with(seen) || BINARY.starts_with(seen);
    (!may_become_one).then(|| Err(io::ErrorKind::InvalidData.into()))
}

/// The same for version 1. The parser is given a whole line and nothing after it: it takes one without its LF
/// for wrong, and one that ends with a space and LF for right, if that is all there is.
fn decide_line(seen: &[u8]) -> Option<io::Result<(usize, Option<SocketAddr>)>> {
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(end) if seen[..end].ends_with(b"\r") => Some(interpret(&HeaderResult::parse(&seen[..=end]))),
        None if seen.len() < MAX_LINE => None,
        _ => Some(Err(io::ErrorKind::InvalidData.into())),
    }
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

/// Bytes that come one by one are decided on as soon as they tell, and what follows changes nothing.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let data = &data[..data.len().min(MAX_HEADER)];
    let decide = |seen: &[u8]| decide(seen).map(Result::ok);
    let Some(early) = (0..=data.len()).find_map(|end| decide(&data[..end])) else {
        assert!(decide(data).is_none());
        return;
    };
    assert_eq!(decide(data), Some(early), "more bytes make another client");
    assert!(early.is_none_or(|(length, _)| length <= data.len()));
}

#[cfg(test)]
mod tests;
