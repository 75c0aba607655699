//! A small blocking client with a cookie jar: one connection a request, bytes as they come.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends one request and reads the whole response.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut data = Vec::new();
    stream.read_to_end(&mut data)?;
    parse(&data, method == "HEAD")
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP response"))
}

/// `is_bare` for answers that say how long a body would be, and have none.
fn parse(data: &[u8], is_bare: bool) -> Option<Response> {
    let end = data.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&data[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response { status, head, body: data[end + 4..].to_vec() };
    if is_bare {
        return Some(response);
    }
    if response.header("transfer-encoding").is_some() {
        response.body = unchunk(&response.body)?;
    } else if let Some(length) =
        response.header("content-length").and_then(|length| length.parse::<usize>().ok())
        && response.body.len() < length
    {
        return None;
    }
    Some(response)
}

fn unchunk(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = data.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&data[..end]).ok()?, 16).ok()?;
        data = data.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(data.get(..size)?);
        data = data.get(size + 2..)?;
    }
}

pub fn try_get(address: SocketAddr, path: &str) -> Option<Response> {
    send(address, "GET", path, &[], &[]).ok()
}

pub fn get(address: SocketAddr, path: &str) -> Response {
    send(address, "GET", path, &[], &[]).unwrap()
}

/// A browser, as far as cookies go.
#[derive(Default, Clone)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn get(&mut self, address: SocketAddr, path: &str) -> Response {
        self.try_send(address, "GET", path, "").unwrap()
    }

    pub fn post(&mut self, address: SocketAddr, path: &str, form: &str) -> Response {
        self.try_send(address, "POST", path, form).unwrap()
    }

    pub fn try_send(
        &mut self,
        address: SocketAddr,
        method: &str,
        path: &str,
        form: &str,
    ) -> io::Result<Response> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept", "*/*")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        if !form.is_empty() {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let response = send(address, method, path, &headers, form.as_bytes())?;
        self.keep(&response);
        Ok(response)
    }

    /// Takes the cookies of a response over.
    pub fn keep(&mut self, response: &Response) {
        for line in response.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("set-cookie:"))
        {
            let cookie = line.split_once(':').unwrap().1.trim();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() || cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
