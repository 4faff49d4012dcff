//! What nobody did anything with is done all the same, elsewhere or once more; and what must not be done twice is not.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Method, Request, Response, Version};
use sluice_proxy::exchange::upstream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    eventually,
    http::{Answer, Body, Client, empty, full, named, program},
    mesh::{Bounds, CART, Mesh, Sidecar, to_cart},
    pki::Pki,
    resources::{Door, Speaks, cluster, endpoints, routes, service},
};

fn request(method: &Method, body: &'static str) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://cart.shop/").header("host", "cart.shop");
    request.body(if body.is_empty() { empty() } else { full(body) }).unwrap()
}

async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A program that reads the second request on each connection and hangs up over it.
async fn hangs_up_over_the_second(seen: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                for turn in 0..2 {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(char::from(byte));
                    }
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    let mut body = vec![0; length.unwrap_or(0)];
                    stream.read_exact(&mut body).await.unwrap();
                    seen.lock().unwrap().push(head.split(' ').next().unwrap().to_owned());
                    if turn == 0 {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_program_that_hangs_up_over_a_request_gets_it_once_more_if_twice_is_as_good_as_once() {
    let cases = [
        (Method::GET, "", 200, 2),
        (Method::HEAD, "", 200, 2),
        (Method::OPTIONS, "", 200, 2),
        (Method::DELETE, "", 200, 2),
        (Method::PUT, "a body", 200, 2),
        (Method::POST, "", 502, 1),
        (Method::POST, "a body", 502, 1),
        (Method::PATCH, "a body", 502, 1),
    ];
    for (method, body, status, times) in cases {
        let seen = Arc::default();
        let mesh = Mesh::new(hangs_up_over_the_second(Arc::clone(&seen)).await, Door::to_members()).await;
        let mut caller = mesh.caller(Version::HTTP_11).await;
        assert_eq!(caller.get("http://cart.shop/").await.status, 200);
        seen.lock().unwrap().clear();
        assert_eq!(caller.send(request(&method, body)).await.status(), status, "{method} {body:?}");
        assert_eq!(*seen.lock().unwrap(), vec![method.to_string(); times], "{body:?}");
    }
}

/// An HTTP/2 program that refuses streams while `refuses` says so of how many there were.
async fn refuses(refuses: impl Fn(usize) -> bool + Send + Sync + Copy + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let count = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if refuses(count.fetch_add(1, Ordering::Relaxed)) {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                    } else {
                        respond.send_response(Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_stream_that_was_refused_is_asked_for_once_more() {
    for (method, body) in [(Method::GET, ""), (Method::POST, "grpc would do so as well")] {
        let (address, seen) = refuses(|before| before.is_multiple_of(2)).await;
        let mesh = Mesh::new(address, Door::to_members()).await;
        let mut caller = mesh.caller(Version::HTTP_2).await;
        for turn in 1..=5 {
            assert_eq!(caller.send(request(&method, body)).await.status(), 200, "{method}");
            assert_eq!(seen.load(Ordering::Relaxed), 2 * turn);
        }
    }
}

#[tokio::test]
async fn who_refuses_every_stream_is_asked_a_few_times_and_then_somebody_else_is() {
    let (address, seen) = refuses(|_| true).await;
    let mesh = Mesh::new(address, Door::to_members()).await;
    let answer = Answer::of(mesh.caller(Version::HTTP_2).await.send(request(&Method::POST, "x")).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (503, "refused"));
    assert_eq!(answer.header("sluice-untouched"), "", "that is between sidecars");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    let door = Door::to_members().made("shop/cart");
    let other = Sidecar::start(mesh.pki.credentials("shop/cart"), named("other").await, &[door]).await;
    mesh.web.swap(&to_cart(&[mesh.cart.inbound, other.inbound]));
    for _ in 0..4 {
        let answer = Answer::of(mesh.caller(Version::HTTP_2).await.send(request(&Method::POST, "x")).await).await;
        assert_eq!((answer.status, answer.header("x-program")), (200, "other"));
    }
}

/// An HTTP/2 program whose first connection says GOAWAY to the first stream: as the last one that it looked at, or not.
async fn goes_away(looked_at_it: bool) -> SocketAddr {
    let good = named("cart").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            if head[3] == 1 {
                break;
            }
        }
        let last = u8::from(looked_at_it);
        stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]).await.unwrap();
        drop(stream);
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut there = TcpStream::connect(good).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn what_was_not_looked_at_before_a_goodbye_is_asked_for_elsewhere_and_what_may_have_been_is_not() {
    for (looked_at_it, status) in [(false, 200), (true, 502)] {
        let mesh = Mesh::new(goes_away(looked_at_it).await, Door::to_members()).await;
        let answer = mesh.caller(Version::HTTP_2).await.send(request(&Method::POST, "once")).await;
        assert_eq!(answer.status(), status, "looked at it: {looked_at_it}");
    }
}

#[tokio::test]
async fn a_replica_whose_program_is_gone_costs_no_call() {
    let pki = Pki::new();
    let start = async |program| {
        let door = Door::to_members().made("shop/cart");
        Sidecar::start(pki.credentials("shop/cart"), program, &[door]).await
    };
    let (gone, good) = (start(nowhere().await).await, start(named("cart").await).await);
    let both = to_cart(&[gone.inbound, good.inbound]);
    let web = Sidecar::start(pki.credentials("shop/web"), gone.inbound, &both).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (method, body) in [(Method::GET, ""), (Method::POST, "once")] {
            let mut caller = Client::plain(web.outbound, version).await;
            for _ in 0..4 {
                assert_eq!(caller.send(request(&method, body)).await.status(), 200, "{version:?} {method}");
            }
        }
    }
    web.swap(&to_cart(&[gone.inbound]));
    let answer = Client::plain(web.outbound, Version::HTTP_11).await.get("http://cart.shop/").await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "connect-failed"));
    assert_eq!(answer.header("sluice-untouched"), "", "that is between sidecars");
}

#[tokio::test]
async fn that_nothing_was_done_is_for_sidecars_to_say_and_not_for_programs() {
    let count = Arc::<AtomicUsize>::default();
    let seen = count.clone();
    let liar = program(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        async { Response::builder().header("sluice-untouched", "1").body(full("done")).unwrap() }
    })
    .await;
    let mesh = Mesh::new(liar, Door::to_members()).await;
    mesh.web.swap(&to_cart(&[mesh.cart.inbound, mesh.cart.inbound]));
    let answer = mesh.caller(Version::HTTP_2).await.get("http://cart.shop/").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("sluice-untouched")), (200, "done", ""));
    let alone = [service(CART), routes(CART, &[(CART, 1)]), cluster(CART, Speaks::Plaintext), endpoints(CART, &[liar])];
    mesh.web.swap(&alone);
    let answer = mesh.caller(Version::HTTP_2).await.get("http://cart.shop/").await;
    assert_eq!((answer.status, answer.header("sluice-untouched")), (200, ""), "not even without a sidecar");
    assert_eq!(count.load(Ordering::Relaxed), 2, "one for each call");
}

#[tokio::test]
async fn connections_that_are_kept_are_bounded_wherever_they_lead() {
    let mut programs = Vec::new();
    for _ in 0..8 {
        programs.push(named("cart").await);
    }
    let resources =
        [service(CART), routes(CART, &[(CART, 1)]), cluster(CART, Speaks::Plaintext), endpoints(CART, &programs)];
    let upstream = upstream::Settings { most_kept: 3, ..upstream::Settings::default() };
    let bounds = Bounds { upstream, ..Bounds::default() };
    let web = Sidecar::bounded(Pki::new().credentials("shop/web"), programs[0], &resources, bounds).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = Client::plain(web.outbound, version).await;
        for _ in 0..16 {
            assert_eq!(caller.get("http://cart.shop/").await.status, 200);
        }
        let few = async || (web.metric("sluice_upstream_connections") <= 3).then_some(());
        eventually("no more than three connections", few).await;
    }
}
