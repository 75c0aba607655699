//! The OTLP receiver on a server that has limits of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::{OtlpService, SqliteHistory, SqliteOptions};
use iap_core::pipeline::Limits;
use iap_core::{Route, RouteTable, Server, Target};

/// What a server with these limits answers to the beginning of a request whose body comes in chunks.
fn answered(limits: Limits, chunks: &str) -> String {
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    let target = Target::service("otlp", OtlpService::new(Arc::new(history)));
    let routes = RouteTable::new([Route::new("otlp", "/", target)]).expect("one route");
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::builder().listen(address).workers(1).limits(limits).routes(routes).start();
    let server = server.expect("a server");
    let mut client = TcpStream::connect(server.addresses()[0]).expect("connected");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: otlp.test\r\nconnection: close\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(format!("{head}{chunks}").as_bytes()).expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn limits_of_the_server_are_told_as_otlp_says() {
    let small = Limits { request_body: 8, ..Limits::default() };
    let answer = answered(small, "9\r\n{       }\r\n0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(r#""code":8"#), "{answer}");

    let impatient = Limits { request_body_idle: Duration::from_millis(20), ..Limits::default() };
    let answer = answered(impatient, "1\r\n{\r\n");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""code":4"#), "{answer}");
}
