//! Callers that hang up one half of a connection, and callers that are gone.

use std::{net::SocketAddr, time::Duration};

use http::Response;
use sluice_proxy::http::ServerSettings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

use crate::support::{
    eventually,
    http::{full, program},
    mesh::{Bounds, Sidecar, to_cart},
    pki::Pki,
    resources::{Door, anyone, anything, policy},
    soon,
};

/// `web`, which calls `cart`, both with this patience. `cart` answers when `leave` is given.
async fn mesh(patience: Duration, leave: &'static Semaphore) -> (Sidecar, Sidecar) {
    let answer = program(move |_| async move {
        leave.acquire().await.unwrap().forget();
        Response::new(full("hello"))
    })
    .await;
    let settings = ServerSettings { half_closed: Some(patience), ..ServerSettings::default() };
    let bounds = Bounds { settings, ..Bounds::default() };
    let allow = vec![("shop/p/0".into(), policy(anyone(), anything()))];
    let door = Door { plaintext: true, allow, ..Door::to_members() };
    let pki = Pki::new();
    let cart = Sidecar::bounded(pki.credentials("shop/cart"), answer, &[door.made("shop/cart")], bounds).await;
    let web = Sidecar::bounded(pki.credentials("shop/web"), answer, &to_cart(&[cart.inbound]), bounds).await;
    (web, cart)
}

async fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: cart.shop\r\n\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn who_hangs_up_its_half_is_answered() {
    static LEAVE: Semaphore = Semaphore::const_new(0);
    let (web, cart) = mesh(Duration::from_mins(1), &LEAVE).await;
    for called in [web.outbound, cart.inbound] {
        let mut stream = ask(called).await;
        stream.shutdown().await.unwrap();
        eventually("the request", async || (cart.in_flight.inside() == 1).then_some(())).await;
        LEAVE.add_permits(1);
        let mut answer = String::new();
        soon("the answer, and the end of it", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
async fn who_is_gone_is_not_waited_for() {
    static LEAVE: Semaphore = Semaphore::const_new(0);
    let (web, cart) = mesh(Duration::from_millis(200), &LEAVE).await;
    for called in [web.outbound, cart.inbound] {
        let stream = ask(called).await;
        eventually("the request", async || (cart.in_flight.inside() == 1).then_some(())).await;
        drop(stream);
        eventually("its end", async || (cart.in_flight.inside() == 0).then_some(())).await;
    }
}
