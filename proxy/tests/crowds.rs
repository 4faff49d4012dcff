//! Many at once: what strangers, and members that are loud, take from everybody else.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::Version;
use sluice_proxy::{
    http::ServerSettings,
    identity::{credentials::HTTP_1, verify::Expected},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{
    eventually,
    http::{Client, full, named, program},
    mesh::{Bounds, Sidecar},
    pki::Pki,
    process::World,
    resources::{Door, anyone, anything, policy},
    soon,
};

/// What begins a connection of HTTP/2: the preface, and settings that say nothing.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A door for everybody, members or not.
fn open() -> Door {
    let allow = vec![("shop/cart/0".to_owned(), policy(anyone(), anything()))];
    Door { allow, plaintext: true, ..Door::default() }
}

async fn cart(pki: &Pki, bounds: Bounds) -> Sidecar {
    let program = named("cart").await;
    Sidecar::bounded(pki.credentials("shop/cart"), program, &[open().made("shop/cart")], bounds).await
}

async fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn ask(pki: &Pki, workload: &str, cart: &Sidecar) -> Result<Client, Box<dyn std::error::Error>> {
    let expected = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
    let tls = pki.credentials(workload).client(expected, HTTP_1).unwrap();
    let mut client = Client::tls(cart.inbound, tls, Version::HTTP_11).await?;
    assert_eq!(client.get("http://cart.shop/").await.status, 200);
    Ok(client)
}

#[tokio::test]
async fn strangers_take_no_places_from_members() {
    let pki = Pki::new();
    let cart = cart(&pki, Bounds { connections: 40, ..Bounds::default() }).await;
    let mut strangers = Vec::new();
    for _ in 0..60 {
        strangers.push(say(cart.inbound, GREETING).await);
    }
    let refused = "sluice_inbound_refused_connections_total{reason=\"too_many_of_address\"}";
    let known = async || (cart.metric(refused) + cart.metric("sluice_inbound_connections") == 60).then_some(());
    eventually("all of them to be dealt with", known).await;
    assert_eq!(cart.metric(refused), 52, "one address has a share of the places for strangers");
    ask(&pki, "shop/web", &cart).await.unwrap();
}

#[tokio::test]
async fn one_identity_does_not_fill_the_room() {
    let pki = Pki::new();
    let cart = cart(&pki, Bounds { connections: 40, ..Bounds::default() }).await;
    let mut loud = Vec::new();
    for _ in 0..20 {
        loud.push(ask(&pki, "shop/web", &cart).await.unwrap());
    }
    // From the same address: with half of the places, it has none left, and nobody proves anything for nothing.
    let mut late = say(cart.inbound, &[0x16]).await;
    assert_eq!(soon("the end", late.read(&mut [0; 16])).await.unwrap_or(0), 0);
    let refused = "sluice_inbound_refused_connections_total{reason=\"too_many_of_address\"}";
    assert_eq!(cart.metric(refused), 1);
    drop(loud.pop());
    let mut other = None;
    eventually("the place that was left", async || {
        other = ask(&pki, "shop/api", &cart).await.ok();
        other.as_ref().map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_nothing_is_sent_away() {
    let pki = Pki::new();
    let settings = ServerSettings {
        idle: Duration::from_millis(50),
        farewell: Duration::from_millis(50),
        ..ServerSettings::default()
    };
    let cart = cart(&pki, Bounds { settings, ..Bounds::default() }).await;
    let mut idle = say(cart.inbound, GREETING).await;
    let mut heard = Vec::new();
    // It never says that it has understood.
    soon("the end", idle.read_to_end(&mut heard)).await.unwrap();
    let goaway = heard.windows(4).any(|bytes| bytes == [0, 0, 8, 7]);
    assert!(goaway, "it is told: {heard:?}");
    eventually("its place to be free", async || (cart.metric("sluice_inbound_connections") == 0).then_some(())).await;
}

#[tokio::test]
async fn an_old_connection_finishes_what_it_has_and_takes_nothing_new() {
    let pki = Pki::new();
    let settings = ServerSettings { age: Duration::ZERO, ..ServerSettings::default() };
    let cart = cart(&pki, Bounds { settings, ..Bounds::default() }).await;
    let mut client = Client::plain(cart.inbound, Version::HTTP_11).await;
    let answer = client.get("http://cart.shop/").await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
}

#[tokio::test]
async fn what_nobody_reads_is_given_up_when_memory_runs_short() {
    // It takes a request, and nothing of its body.
    let program = program(|request| async move {
        if request.uri().path() == "/hold" {
            std::future::pending::<()>().await;
        }
        http::Response::new(full("hello"))
    })
    .await;
    let world = World::new().await;
    world.snapshot.send_replace(vec![open().made("shop/cart")]);
    let mut command = world.command(&[]);
    command.env("SLUICE_APP_PORT", program.port().to_string()).env("SLUICE_MAX_MEMORY", "96Mi");
    let sidecar = world.start(&mut command).await;
    sidecar.ready().await;
    let inbound = sidecar.addresses.inbound.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let Client::Http2(sender) = Client::plain(inbound, Version::HTTP_2).await else { unreachable!() };
        for _ in 0..250 {
            let (mut sender, body) = (sender.clone(), full(vec![0; 300 << 10]));
            calls.spawn(async move {
                let request = http::Request::post("http://cart.shop/hold").body(body).unwrap();
                sender.send_request(request).await.map(|response| response.status().as_u16())
            });
        }
    }
    // All of it is 300 MiB, and more comes in between two looks at the memory than one would like (docs/BOUNDS.md).
    for _ in 0..300 {
        let answer = soon("somebody to be given up", calls.join_next()).await.unwrap().unwrap();
        // The program may be too busy to take so many connections in time.
        let status = answer.unwrap();
        assert!(matches!(status, 503 | 504), "{status}");
    }
    assert_eq!(Client::plain(inbound, Version::HTTP_11).await.get("http://cart.shop/").await.body, "hello");
    sidecar.says("memory runs short").await;
}
