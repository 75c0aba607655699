//! As much of the Redis protocol as tests need to talk to a server past the store.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one command and returns the reply as text: the items of lists a line each, nothing for nil.
pub(super) fn ask(port: u16, login: Option<(&str, &str)>, words: &[&str]) -> io::Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    if let Some((user, password)) = login {
        send(&mut stream, &["AUTH", user, password])?;
        reply(&mut reader)?;
    }
    send(&mut stream, words)?;
    Ok(reply(&mut reader)?.join("\n"))
}

fn send(stream: &mut TcpStream, words: &[&str]) -> io::Result<()> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())
}

fn reply(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let rest = line.get(1..).unwrap_or_default();
    let length = || rest.parse::<i64>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    match line.as_bytes().first() {
        Some(b'+' | b':') => Ok(vec![rest.to_owned()]),
        Some(b'$') => {
            let Ok(length) = usize::try_from(length()?) else { return Ok(vec![]) };
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes)?;
            Ok(vec![String::from_utf8_lossy(&bytes[..length]).into_owned()])
        }
        Some(b'*') => {
            let mut items = Vec::new();
            for _ in 0..length()? {
                items.extend(reply(reader)?);
            }
            Ok(items)
        }
        _ => Err(io::Error::other(rest.to_owned())),
    }
}
