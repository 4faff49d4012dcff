//! Connections that go on in another protocol, as that of a WebSocket does: from program to program through two sidecars.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    eventually,
    mesh::{Mesh, to_cart},
    pki::id,
    resources::{Door, service_with_idle_timeout},
    soon,
};

/// A program that goes on in any protocol and sends everything back, or does not go on.
async fn echo(goes_on: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                let asked = head.lines().find_map(|line| line.strip_prefix("upgrade: ")).unwrap_or("none").to_owned();
                let answer = if goes_on {
                    format!(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {asked}\r\nx-path: {}\r\n\r\n",
                        head.split(' ').nth(1).unwrap()
                    )
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("a head", stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Asks to go on in another protocol: the connection, and the head of the answer.
async fn ask(mesh: &Mesh, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
    let sent = format!(
        "GET {path} HTTP/1.1\r\nHost: cart.shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(sent.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    (stream, answer)
}

async fn ended(mesh: &Mesh) {
    let over = async || {
        let open = mesh.web.metric("sluice_outbound_upgrades") + mesh.cart.metric("sluice_inbound_upgrades");
        (open == 0 && mesh.cart.in_flight.inside() == 0).then_some(())
    };
    eventually("the end on both sides", over).await;
}

#[tokio::test]
async fn bytes_go_both_ways_until_either_side_ends() {
    let mesh = Mesh::new(echo(true).await, Door::to_members()).await;
    let (mut stream, answer) = ask(&mesh, "/chat?room=1").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    for line in ["connection: upgrade", "upgrade: websocket", "x-path: /chat?room=1"] {
        assert!(answer.lines().any(|other| other == line), "{line} is not in {answer}");
    }
    assert_eq!((mesh.web.metric("sluice_outbound_upgrades"), mesh.cart.metric("sluice_inbound_upgrades")), (1, 1));
    let sent: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[0]).collect();
    let mut came = vec![0; sent.len()];
    let (mut read, mut write) = stream.split();
    let (sending, reading) = tokio::join!(write.write_all(&sent), soon("the echo", read.read_exact(&mut came)));
    assert!(sending.is_ok() && reading.is_ok() && came == sent, "every byte, and as it was");
    stream.shutdown().await.unwrap();
    assert_eq!(soon("the end", stream.read(&mut [0; 1])).await.unwrap(), 0, "one half ends, and then the other");
    ended(&mesh).await;
    assert_eq!(mesh.cart.metric("sluice_inbound_requests_total{status_class=\"1xx\"}"), 1);
}

#[tokio::test]
async fn a_program_need_not_go_on() {
    let mesh = Mesh::new(echo(false).await, Door::to_members()).await;
    let (mut stream, answer) = ask(&mesh, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("upgrade"), "{answer}");
    let mut body = [0; 2];
    soon("the body", stream.read_exact(&mut body)).await.unwrap();
    assert_eq!(&body, b"ok");
    ended(&mesh).await;
}

#[tokio::test]
async fn nobody_goes_on_in_what_was_not_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mesh = Mesh::new(listener.local_addr().unwrap(), Door::to_members()).await;
    for lines in ["connection: upgrade\r\nupgrade: other\r\n", "connection: upgrade\r\n", "upgrade: websocket\r\n"] {
        let asking = ask(&mesh, "/");
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n").as_bytes()).await.unwrap();
            stream
        };
        let ((_stream, answer), _program) = tokio::join!(asking, answering);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{lines}: {answer}");
    }
    ended(&mesh).await;
}

#[tokio::test]
async fn who_may_not_call_may_not_go_on_either() {
    let mesh = Mesh::new(echo(true).await, Door::to("shop/p", &id("shop/job"))).await;
    let (_stream, answer) = ask(&mesh, "/").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(mesh.cart.metric("sluice_inbound_upgrades"), 0);
}

#[tokio::test]
async fn it_ends_with_the_permission() {
    let mesh = Mesh::new(echo(true).await, Door::to_members()).await;
    let (mut stream, answer) = ask(&mesh, "/").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // A change that does not concern it changes nothing.
    mesh.cart.swap(&[Door::to("shop/p", &id("shop/web")).made("shop/cart")]);
    stream.write_all(b"hello").await.unwrap();
    let mut came = [0; 5];
    soon("the echo", stream.read_exact(&mut came)).await.unwrap();
    mesh.cart.swap(&[Door::to("shop/p", &id("shop/job")).made("shop/cart")]);
    let end = soon("the end", stream.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    ended(&mesh).await;
}

#[tokio::test]
async fn it_ends_with_the_proof() {
    let mesh = Mesh::new(echo(true).await, Door::to_members()).await;
    let (mut stream, answer) = ask(&mesh, "/").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // The anchor on which the caller's proof rests is taken away at the called side.
    let other = crate::support::pki::Pki::new();
    mesh.cart.identity.swap(Arc::new(other.credentials("shop/cart")));
    let end = soon("the end", stream.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn it_ends_when_nothing_moves() {
    let mesh = Mesh::new(echo(true).await, Door::to_members()).await;
    let mut resources = to_cart(&[mesh.cart.inbound]);
    resources[0] = service_with_idle_timeout(crate::support::mesh::CART, 300);
    mesh.web.swap(&resources);
    let (mut stream, answer) = ask(&mesh, "/").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let end = soon("the end", stream.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    ended(&mesh).await;
}
