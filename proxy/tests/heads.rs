//! Heads of requests, byte by byte: what a program must never be told, and what it is told instead.

use std::net::SocketAddr;

use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
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
