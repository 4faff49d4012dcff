//! Heads of requests, byte by byte: what a program must never be told, and what it is told instead.

use std::net::SocketAddr;

use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    http::{full, program},
    mesh::Mesh,
    resources::{Door, anyone, anything, path_prefix, policy},
    soon,
};

/// A program that says what it was asked: method, target and every Host.
async fn witness() -> SocketAddr {
    program(|request| async move {
        let hosts = request.headers().get_all("host").iter().map(|host| format!(" [{}]", host.to_str().unwrap()));
        let text = format!("{} {}{}", request.method(), request.uri(), hosts.collect::<String>());
        Response::new(full(text))
    })
    .await
}

/// A door that lets anybody in to what is below `prefix`.
fn open(prefix: Option<&str>) -> Door {
    let permission = prefix.map_or_else(anything, path_prefix);
    let allow = vec![("shop/p/0".into(), policy(anyone(), permission))];
    Door { plaintext: true, normalised: true, allow, ..Door::default() }
}

/// Sends this, and then nothing more: status and body of the answer.
async fn ask(address: SocketAddr, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn what_rules_would_not_recognise_is_refused() {
    let mesh = Mesh::new(witness().await, open(Some("/public/"))).await;
    let cases = [
        ("GET /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("get /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("Delete /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /public/..;/admin HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /public/..%3b/admin HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /admin HTTP/1.1\r\nhost: a\r\n\r\n", 403),
    ];
    for (head, status) in cases {
        assert_eq!(ask(mesh.cart.inbound, head).await.0, status, "{head}");
    }
}

#[tokio::test]
async fn a_program_is_told_of_one_host() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    let cases = [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 200, "GET / [a]"),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: host\r\n\r\n", 200, "GET / [a]"),
        ("GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", 200, "GET / [a]"),
        ("GET / HTTP/1.0\r\nhost: a\r\n\r\n", 200, "GET / [a]"),
        ("GET / HTTP/1.0\r\n\r\n", 200, "GET / []"),
        ("GET / HTTP/1.1\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, ""),
        ("GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", 400, ""),
        ("GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", 400, ""),
    ];
    for (head, status, told) in cases {
        assert_eq!(ask(mesh.cart.inbound, head).await, (status, told.to_owned()), "{head}");
    }
}

#[tokio::test]
async fn a_body_that_would_be_taken_for_another_is_refused() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    for (coding, status) in [("chunked", 200), ("Chunked", 200), ("gzip, chunked", 501), ("identity, chunked", 501)] {
        let head = format!("POST / HTTP/1.1\r\nhost: cart\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        for address in [mesh.cart.inbound, mesh.web.outbound] {
            assert_eq!(ask(address, &head).await.0, status, "{coding}");
        }
    }
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mesh = Mesh::new(listener.local_addr().unwrap(), open(None)).await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    assert_eq!(ask(mesh.cart.inbound, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.0, 502);
}
