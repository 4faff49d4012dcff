//! Who cannot prove to be of the mesh is turned away at the door, and counted by the reason.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Version;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use sluice_proxy::identity::{
    credentials::{Credentials, HTTP_1, HTTP_2, Material},
    verify::Expected,
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    eventually,
    http::{Client, named},
    mesh::{Sidecar, to_cart},
    pki::{Leaf, Pki, TRUST_DOMAIN, id},
    resources::Door,
    soon,
};

/// A client configuration that proves `material` and does not mind who answers, as an attacker's would.
fn proving(pki: &Pki, material: Option<Material>) -> Arc<ClientConfig> {
    let anyone = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
    if let Some(material) = material {
        // Of the anchors only ours count here: whom the client believes is not in question.
        let unread = pki.material("shop/x", &Leaf::of("shop/x"));
        let mut anchors = RootCertStore::empty();
        anchors.add(CertificateDer::from(unread.anchors[0].clone())).unwrap();
        let chain = material.chain.into_iter().map(CertificateDer::from).collect();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(material.key).into();
        let verifier = rustls_verifier(anyone, anchors);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        return Arc::new(config);
    }
    let mut anchors = RootCertStore::empty();
    anchors.add(CertificateDer::from(pki.anchors()[0].clone())).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(rustls_verifier(anyone, anchors))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Arc::new(config)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn rustls_verifier(expected: Expected, anchors: RootCertStore) -> Arc<sluice_proxy::identity::verify::ServerVerifier> {
    Arc::new(sluice_proxy::identity::verify::ServerVerifier { anchors: anchors.into(), expected, provider: provider() })
}

async fn refused(cart: &Sidecar, reason: &str) {
    let series = format!("sluice_inbound_refused_connections_total{{reason=\"{reason}\"}}");
    eventually(reason, async || (cart.metric(&series) == 1).then_some(())).await;
}

#[tokio::test]
async fn bad_proofs_are_turned_away_and_counted() {
    let (pki, other) = (Pki::new(), Pki::new());
    let foreign = "spiffe://other.mesh/ns/shop/sa/web".to_owned();
    let cases: Vec<(&str, &str, Option<Material>)> = vec![
        ("no certificate", "no_certificate", None),
        ("the certificate of another mesh", "unknown_issuer", Some(other.material("shop/web", &Leaf::of("shop/web")))),
        ("an expired certificate", "expired", Some(pki.material("shop/web", &Leaf::expired("shop/web")))),
        ("two identities", "bad_identity", Some(with_uris(&pki, vec![id("shop/web"), id("shop/job")]))),
        ("no identity", "bad_identity", Some(with_uris(&pki, vec![]))),
        (
            "an identity of another shape",
            "bad_identity",
            Some(with_uris(&pki, vec![format!("spiffe://{TRUST_DOMAIN}/web")])),
        ),
        ("an identity of another trust domain", "bad_identity", Some(with_uris(&pki, vec![foreign]))),
    ];
    for (sentence, reason, material) in cases {
        let door = Door::to_members().made("shop/cart");
        let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
        let config = proving(&pki, material);
        // TLS 1.3: the client is done before the server has looked at it, and learns of its verdict when it reads.
        if let Ok(mut client) = Client::tls(cart.inbound, config, Version::HTTP_11).await {
            let request = http::Request::get("/").header("host", "cart").body(crate::support::http::empty()).unwrap();
            assert!(client.try_send(request).await.is_err(), "{sentence}");
        }
        refused(&cart, reason).await;
        assert_eq!(cart.metric("sluice_inbound_requests_total{status_class=\"2xx\"}"), 0, "{sentence}");
    }
}

fn with_uris(pki: &Pki, uris: Vec<String>) -> Material {
    pki.material("shop/web", &Leaf::with_uris(uris))
}

#[tokio::test]
async fn plaintext_is_turned_away_where_it_is_not_wanted() {
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    hangs_up_on(cart.inbound, b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n").await;
    refused(&cart, "plaintext").await;
}

#[tokio::test]
async fn nobody_is_let_in_without_a_configuration() {
    let pki = Pki::new();
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[]).await;
    hangs_up_on(cart.inbound, b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n").await;
    refused(&cart, "other").await;
}

async fn hangs_up_on(address: SocketAddr, sent: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, sent).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty(), "nothing is answered at all");
}

#[tokio::test]
async fn good_proofs_are_let_in_in_both_versions() {
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let web: Credentials = pki.credentials("shop/web");
    let cart_id = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
    for (version, protocol) in [(Version::HTTP_11, HTTP_1), (Version::HTTP_2, HTTP_2)] {
        let config = web.client(cart_id.clone(), protocol).unwrap();
        let mut client = Client::tls(cart.inbound, config, version).await.unwrap();
        assert_eq!(client.get("http://cart/").await.status, 200);
    }
}

#[tokio::test]
async fn a_leaf_that_says_by_which_enrolment_it_came_to_be_is_believed_on_either_side() {
    let pki = Pki::new();
    let enrolled = |workload: &str| Credentials::new(pki.material(workload, &Leaf::enrolled(workload))).unwrap();
    let door = Door::to("shop/cart-from-web", &id("shop/web")).made("shop/cart");
    let cart = Sidecar::start(enrolled("shop/cart"), named("cart").await, &[door]).await;
    let web = Sidecar::start(enrolled("shop/web"), cart.inbound, &to_cart(&[cart.inbound])).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(Client::plain(web.outbound, version).await.get("http://cart/").await.status, 200);
    }
    // An enrolment is no identity, and takes the place of none.
    let nobody = Leaf { uris: Vec::new(), ..Leaf::enrolled("shop/web") };
    let config = proving(&pki, Some(pki.material("shop/web", &nobody)));
    if let Ok(mut client) = Client::tls(cart.inbound, config, Version::HTTP_11).await {
        let request = http::Request::get("/").header("host", "cart").body(crate::support::http::empty()).unwrap();
        assert!(client.try_send(request).await.is_err());
    }
    refused(&cart, "bad_identity").await;
}

#[tokio::test]
async fn a_connection_ends_with_the_proof_on_which_it_rests() {
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let short = Leaf { not_after: SystemTime::now() + Duration::from_secs(2), ..Leaf::of("shop/web") };
    let web = Credentials::new(pki.material("shop/web", &short)).unwrap();
    let cart_id = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
    let mut client = Client::tls(cart.inbound, web.client(cart_id, HTTP_1).unwrap(), Version::HTTP_11).await.unwrap();
    assert_eq!(client.get("http://cart/").await.header("connection"), "");
    let closed = async || (client.get("http://cart/").await.header("connection") == "close").then_some(());
    eventually("the end of the connection", closed).await;
}

#[tokio::test]
async fn tls_1_2_is_not_spoken() {
    // This library is built without TLS 1.2, so that a hello of it has to be written by hand: version 0x0303, one
    // cipher suite, no extensions, and so no supported_versions.
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let mut stream = TcpStream::connect(cart.inbound).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &hello).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut answer)).await;
    assert_eq!(answer.first(), Some(&0x15), "an alert and nothing else: {answer:?}");
    refused(&cart, "other").await;
}

#[tokio::test]
async fn strangers_take_no_place_from_members() {
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let web = pki.credentials("shop/web");
    let cart_id = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
    let member =
        async || Client::tls(cart.inbound, web.client(cart_id.clone(), HTTP_1).unwrap(), Version::HTTP_11).await;
    let mut early = member().await.unwrap();
    assert_eq!(early.get("http://cart/").await.status, 200);
    // More than may wait, and they never say anything.
    let mut strangers = Vec::new();
    for _ in 0..150 {
        strangers.push(TcpStream::connect(cart.inbound).await.unwrap());
    }
    let waiting = async || (cart.metric("sluice_inbound_handshakes") >= 100).then_some(());
    eventually("the strangers", waiting).await;
    assert_eq!(cart.metric("sluice_inbound_connections"), 1, "none of them counts as a caller");
    assert_eq!(early.get("http://cart/").await.status, 200, "who is in stays in");
    let mut late = soon("the way in", member()).await.unwrap();
    assert_eq!(late.get("http://cart/").await.status, 200, "who comes gets in");
    assert!(cart.metric("sluice_inbound_refused_connections_total{reason=\"too_many_handshakes\"}") > 0);
}
