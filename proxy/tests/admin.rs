//! What people and probes are told on the admin port, and who is told nothing.

use std::{collections::BTreeMap, sync::Arc};

use http::{Request, Version};
use serde_json::Value;
use sluice_proxy::{
    admin::{Admin, Readiness},
    base::published::Published,
    host::users::Users,
    identity::credentials::Credentials,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::support::{
    http::{Answer, Client, empty},
    pki::{Leaf, Pki},
    soon,
};

/// The admin port of a sidecar that is ready, and is who `leaf` says.
async fn port(leaf: &Leaf) -> std::net::SocketAddr {
    let credentials = Credentials::new(Pki::new().material("shop/cart", leaf)).unwrap();
    let (known, identity) = watch::channel(Some(Arc::new(Published::new(credentials))));
    let admin = Admin {
        readiness: Arc::new(Published::new(Readiness::Ready)),
        identity,
        standing: Arc::default(),
        config: Arc::default(),
        report: Arc::default(),
        program: BTreeMap::new(),
        users: Users::any(),
        metrics: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        Arc::new(admin).run(listener).await;
        drop(known);
    });
    address
}

/// Says `text` to the port, and gives the status of the answer.
async fn status(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    soon("an answer", stream.read_exact(&mut head)).await.unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}

#[tokio::test]
async fn only_who_calls_this_machine_by_its_own_name_is_answered() {
    let address = port(&Leaf::of("shop/cart")).await;
    let cases = [
        ("GET /config HTTP/1.1\r\nHost: 127.0.0.1:15000\r\n\r\n", "200"),
        ("GET /config HTTP/1.1\r\nHost: 127.9.9.9\r\n\r\n", "200"),
        ("GET /config HTTP/1.1\r\nHost: [::1]:15000\r\n\r\n", "200"),
        ("GET /config HTTP/1.1\r\nHost: [::1]\r\n\r\n", "200"),
        ("GET /config HTTP/1.1\r\nHost: LocalHost:15000\r\n\r\n", "200"),
        ("GET /config HTTP/1.0\r\n\r\n", "200"),
        ("GET http://localhost/config HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
        ("GET /config HTTP/1.1\r\nHost: rebound.example\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: rebound.example:15000\r\n\r\n", "421"),
        ("GET /config HTTP/1.0\r\nHost: rebound.example\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: localhost.rebound.example\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: 127.0.0.1.rebound.example\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: 127.0.0.1@rebound.example\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: \r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\n\r\n", "421"),
        ("GET /config HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\n\r\n", "421"),
        ("GET http://rebound.example/config HTTP/1.1\r\nHost: localhost\r\n\r\n", "421"),
        ("GET http://localhost/config HTTP/1.1\r\nHost: rebound.example\r\n\r\n", "421"),
        ("POST /livez HTTP/1.1\r\nHost: rebound.example\r\n\r\n", "421"),
    ];
    for (text, expected) in cases {
        assert_eq!(status(address, text).await, expected, "{text:?}");
    }
}

#[tokio::test]
async fn over_http_2_it_is_the_authority_that_counts() {
    let address = port(&Leaf::of("shop/cart")).await;
    for (host, expected) in [("127.0.0.1", 200), ("localhost:15000", 200), ("rebound.example", 421)] {
        let mut client = Client::plain(address, Version::HTTP_2).await;
        assert_eq!(client.get(&format!("http://{host}/config")).await.status, expected, "{host}");
    }
}

#[tokio::test]
async fn nobody_is_ready_whose_certificate_is_over() {
    for (leaf, expected) in [(Leaf::of("shop/cart"), 200), (Leaf::expired("shop/cart"), 503)] {
        let mut client = Client::plain(port(&leaf).await, Version::HTTP_11).await;
        let request = Request::get("/readyz").header("host", "localhost").body(empty()).unwrap();
        let answer = Answer::of(client.send(request).await).await;
        assert_eq!(answer.status, expected, "{answer:?}");
        if expected == 503 {
            let answer: Value = serde_json::from_str(&answer.body).unwrap();
            let reason = answer["reason"].as_str().unwrap();
            assert!(reason.starts_with("the certificate ended "), "{reason}");
        }
    }
}

#[tokio::test]
async fn whoever_only_stays_keeps_nobody_out() {
    let address = port(&Leaf::of("shop/cart")).await;
    let mut stays = Vec::new();
    for _ in 0..64 {
        stays.push(TcpStream::connect(address).await.unwrap());
    }
    for _ in 0..3 {
        assert_eq!(status(address, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await, "200");
    }
    let mut ended = 0;
    for stream in &mut stays[..3] {
        ended += soon("the end", stream.read(&mut [0])).await.unwrap_or(0);
    }
    assert_eq!(ended, 0, "those who came first made room");
}
