//! A TCP connection to one of a server's addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::address::Place;
use super::super::server::Server;

/// How long an address is tried alone, before the next one is tried as well (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

pub(super) async fn connect(server: &Server, place: &Place) -> io::Result<TcpStream> {
    match place {
        Place::Ip(address) => TcpStream::connect(address).await,
        Place::Name { host, port } => match server.addresses.next() {
            Some(addresses) => first_of(addresses).await,
            // Not resolved in the background, or not yet.
            None => {
                let found = tokio::net::lookup_host((&**host, *port)).await?;
                first_of(found.take(super::super::resolve::MAX_ADDRESSES).collect()).await
            }
        },
        Place::Unix(_) | Place::Nowhere => Err(io::Error::other("the server has no address at the moment")),
    }
}

/// Tries the addresses in turn, each with a head start before the next, and takes the first
/// connection that is made.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = *addresses {
        return TcpStream::connect(only).await;
    }
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(TcpStream::connect(address));
        }
        let joined = if is_last {
            attempts.join_next().await
        } else {
            match tokio::time::timeout(HEAD_START, attempts.join_next()).await {
                Ok(joined) => joined,
                Err(_) => continue,
            }
        };
        match joined {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None if is_last => return Err(last),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_address_leads_to_the_next_one() {
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alive.local_addr().unwrap();
        for addresses in [vec![dead, address], vec![address, dead], vec![address], vec![dead, dead, address]]
        {
            assert_eq!(first_of(addresses).await.unwrap().peer_addr().unwrap(), address);
        }
        assert!(first_of(vec![dead, dead]).await.is_err());
        assert_eq!(first_of(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
