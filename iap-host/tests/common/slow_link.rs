//! A link to a server that can be made slow.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is asked arrives so much later while the link is slow.
const LATE: Duration = Duration::from_millis(200);

/// Stands before a server until the test ends.
pub struct SlowLink {
    pub address: SocketAddr,
    slow: Arc<AtomicBool>,
}

impl SlowLink {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let slow = Arc::new(AtomicBool::new(false));
        let switch = slow.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let switch = switch.clone();
                std::thread::spawn(move || pass(from_client, server, &switch));
                std::thread::spawn(move || pass(from_server, client, &AtomicBool::new(false)));
            }
        });
        Self { address, slow }
    }

    pub fn be_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, slow: &AtomicBool) {
    let _ = to.set_nodelay(true);
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if slow.load(Ordering::Relaxed) {
            std::thread::sleep(LATE);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
