//! Many at once: what strangers, and members that are loud, take from everybody else.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Version;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use sluice_proxy::{
    http::ServerSettings,
    identity::{credentials::HTTP_1, verify::Expected},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, JoinSet},
};

use crate::support::{
    eventually,
    http::{Answer, Client, empty, full, named, program},
    mesh::{Bounds, Sidecar, to_cart},
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

/// A program that takes a request to `/hold`, and nothing of its body. To `/flood` it answers with a body without end.
async fn holding() -> SocketAddr {
    program(|request| async move {
        match request.uri().path() {
            "/hold" => std::future::pending().await,
            "/flood" => {
                let endless =
                    tokio_stream::iter(std::iter::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; 64 << 10])))));
                http::Response::new(StreamBody::new(endless).boxed_unsync())
            }
            _ => {
                let sent = request.into_body().collect().await.unwrap().to_bytes().len();
                http::Response::new(full(sent.to_string()))
            }
        }
    })
    .await
}

/// So many calls with more in them than there is room for, on connections of HTTP/2.
async fn upload(address: SocketAddr, connections: usize, streams: usize) -> JoinSet<u16> {
    let mut calls = JoinSet::new();
    for _ in 0..connections {
        let Client::Http2(sender) = Client::plain(address, Version::HTTP_2).await else { unreachable!() };
        for _ in 0..streams {
            let (mut sender, body) = (sender.clone(), full(vec![0; 300 << 10]));
            calls.spawn(async move {
                let request = http::Request::post("http://cart.shop/hold").body(body).unwrap();
                sender.send_request(request).await.unwrap().status().as_u16()
            });
        }
    }
    calls
}

const MIB: u64 = 1 << 20;

/// What may come beyond a bound: what the engine needs for each of the parts that were read at once.
const PARTS: u64 = 64 << 10;

#[tokio::test]
async fn one_caller_fills_no_more_than_its_share_and_the_others_are_served() {
    let pki = Pki::new();
    // Half of it is for what is on its way, and of that half for each.
    let bounds = Bounds { memory: 16 * MIB, ..Bounds::default() };
    let cart =
        Sidecar::bounded(pki.credentials("shop/cart"), holding().await, &[open().made("shop/cart")], bounds).await;
    let mut calls = upload(cart.inbound, 2, 60).await;
    let held = || cart.burden.ledger().held();
    eventually("its share to be full", async || (held() > 3 * MIB).then_some(())).await;
    let mut member = ask(&pki, "shop/web", &cart).await.unwrap();
    for _ in 0..20 {
        let request = http::Request::post("/").header("host", "cart.shop").body(full(vec![0; 300 << 10])).unwrap();
        assert_eq!(Answer::of(member.send(request).await).await.body, (300 << 10).to_string());
        assert!(held() <= 4 * MIB + PARTS, "{} are held", held());
    }
    assert!(calls.try_join_next().is_none(), "who is held back is not given up for that");
    // Only now does anybody look whether something stands still.
    let keeping = tokio::spawn(cart.burden.clone().keep_within());
    let status = soon("somebody to be given up", calls.join_next()).await.unwrap().unwrap();
    assert_eq!(status, 503);
    keeping.abort();
    calls.abort_all();
    eventually("nothing to be left", async || (held() == 0).then_some(())).await;
}

#[tokio::test]
async fn answers_that_nobody_reads_fill_no_more_than_there_is_room_for() {
    let pki = Pki::new();
    let program = holding().await;
    let bounds = Bounds { memory: 16 * MIB, ..Bounds::default() };
    let door = [open().made("shop/cart")];
    let cart = Sidecar::bounded(pki.credentials("shop/cart"), program, &door, bounds).await;
    let web = Sidecar::bounded(pki.credentials("shop/web"), program, &to_cart(&[cart.inbound]), bounds).await;
    let mut answers = JoinSet::new();
    let Client::Http2(mut sender) = Client::plain(web.outbound, Version::HTTP_2).await else { unreachable!() };
    for _ in 0..100 {
        let request = http::Request::get("http://cart.shop/flood").body(empty()).unwrap();
        let answer = sender.send_request(request);
        answers.spawn(async move {
            let _unread = answer.await;
            std::future::pending::<()>().await;
        });
    }
    let held = |sidecar: &Sidecar| sidecar.burden.ledger().held();
    eventually("all of it to be full", async || (held(&web) > 6 * MIB).then_some(())).await;
    for sidecar in [&web, &cart] {
        assert!(held(sidecar) <= 8 * MIB + PARTS, "{} are held", held(sidecar));
    }
    let keeping = [&web, &cart].map(|sidecar| tokio::spawn(sidecar.burden.clone().keep_within()));
    let served = async || {
        let mut other = Client::plain(web.outbound, Version::HTTP_2).await;
        (other.get("http://cart.shop/").await.body == "0").then_some(())
    };
    // On a machine that is busy itself, theirs may be among those that have stood still.
    eventually("others to be served again", served).await;
    drop((answers, sender));
    eventually("nothing to be left", async || (held(&web) + held(&cart) == 0).then_some(())).await;
    keeping.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn what_nobody_reads_is_given_up_when_memory_runs_short() {
    const MOST: u64 = 128 * MIB;
    let program = holding().await;
    let world = World::new().await;
    let mut command = world.command(&[]);
    world.guard(&mut command, &[(program, open())]).env("SLUICE_MAX_MEMORY", "128Mi");
    let sidecar = world.start(&mut command).await;
    sidecar.ready().await;
    let inbound = sidecar.addresses.inbound.unwrap();
    // 300 MiB.
    let mut calls = upload(inbound, 4, 250).await;
    for _ in 0..300 {
        let status = soon("somebody to be given up", calls.join_next()).await.unwrap().unwrap();
        // The program may be too busy to take so many connections in time.
        assert!(matches!(status, 503 | 504), "{status}");
    }
    assert_eq!(Client::plain(inbound, Version::HTTP_11).await.get("http://cart.shop/").await.body, "0");
    let peak = sidecar.peak_memory();
    assert!(peak <= MOST, "it took {} MiB", peak / MIB);
    sidecar.says("memory runs short").await;
}
