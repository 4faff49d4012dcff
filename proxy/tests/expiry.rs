//! Nobody goes on calling with a certificate that has ended, however it keeps its connection.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Version;
use sluice_proxy::{
    http::ServerSettings,
    identity::{
        credentials::{Credentials, HTTP_1, HTTP_2},
        verify::Expected,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    eventually,
    http::{Client, named},
    mesh::{Bounds, Sidecar, to_cart},
    pki::{Leaf, Pki},
    resources::Door,
    soon,
};

/// `cart`, and somebody who can call it for a moment.
struct Brief {
    cart: Sidecar,
    cart_id: Expected,
    web: Credentials,
    not_after: SystemTime,
}

impl Brief {
    async fn new(farewell: Duration) -> Self {
        let pki = Pki::new();
        let bounds = Bounds { settings: ServerSettings { farewell, ..ServerSettings::default() }, ..Bounds::default() };
        let door = Door::to_members().made("shop/cart");
        let cart = Sidecar::bounded(pki.credentials("shop/cart"), named("cart").await, &[door], bounds).await;
        let leaf = Leaf { not_after: SystemTime::now() + Duration::from_secs(3), ..Leaf::of("shop/web") };
        let web = Credentials::new(pki.material("shop/web", &leaf)).unwrap();
        let not_after = web.leaf.not_after;
        let cart_id = Expected::OneOf(Arc::new([pki.credentials("shop/cart").leaf.id]));
        Self { cart, cart_id, web, not_after }
    }

    async fn caller(&self, version: Version) -> Client {
        let protocol = if version == Version::HTTP_2 { HTTP_2 } else { HTTP_1 };
        let config = self.web.client(self.cart_id.clone(), protocol).unwrap();
        Client::tls(self.cart.inbound, config, version).await.unwrap()
    }

    /// A connection that answers nothing of itself.
    async fn raw(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let config = self.web.client(self.cart_id.clone(), protocol).unwrap();
        let stream = TcpStream::connect(self.cart.inbound).await.unwrap();
        let name = rustls::pki_types::ServerName::IpAddress(self.cart.inbound.ip().into());
        TlsConnector::from(config).connect(name, stream).await.unwrap()
    }

    async fn expired(&self) {
        eventually("the end of the certificate", async || (SystemTime::now() >= self.not_after).then_some(())).await;
    }
}

#[tokio::test]
async fn a_request_that_begins_after_the_certificate_ended_is_refused() {
    let brief = Brief::new(Duration::from_mins(1)).await;
    let mut callers = [brief.caller(Version::HTTP_11).await, brief.caller(Version::HTTP_2).await];
    for caller in &mut callers {
        assert_eq!(caller.get("http://cart/").await.status, 200);
    }
    brief.expired().await;
    // The clock that refuses may be a little ahead of the timer that says goodbye.
    eventually("goodbye", async || {
        let answer = callers[0].get("http://cart/").await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (403, "expired"));
        (answer.header("connection") == "close").then_some(())
    })
    .await;
    let request = http::Request::get("http://cart/").body(crate::support::http::empty()).unwrap();
    let answer = callers[1].try_send(request).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 403), "told to go, or refused");
}

#[tokio::test]
async fn whoever_does_not_go_when_the_certificate_has_ended_is_put_out() {
    let brief = Brief::new(Duration::from_millis(100)).await;
    let mut quiet = brief.raw(HTTP_1).await;
    let mut idle = brief.raw(HTTP_1).await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n").await.unwrap();
    // Neither of these ever acknowledges anything: preface and empty SETTINGS, then `GET /` in static HPACK.
    let greeting: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut mute = brief.raw(HTTP_2).await;
    mute.write_all(greeting).await.unwrap();
    let mut deaf = brief.raw(HTTP_2).await;
    deaf.write_all(greeting).await.unwrap();
    deaf.write_all(b"\0\0\x09\x01\x05\0\0\0\x01\x82\x84\x86\x41\x04cart").await.unwrap();
    for (name, stream) in [("quiet", &mut quiet), ("idle", &mut idle), ("mute", &mut mute), ("deaf", &mut deaf)] {
        let mut said = Vec::new();
        // Cut off or closed, it is over.
        let _ = soon(name, stream.read_to_end(&mut said)).await;
    }
    eventually("no connection", async || (brief.cart.metric("sluice_inbound_connections") == 0).then_some(())).await;
}

#[tokio::test]
async fn a_connection_is_not_used_for_longer_than_its_certificates_are_good() {
    for ends_first in ["shop/cart", "shop/web"] {
        let (pki, program) = (Pki::new(), named("cart").await);
        let credentials = |workload: &str| {
            let day = Leaf::of(workload);
            let left = Duration::from_secs(if workload == ends_first { 7 } else { 3_600 });
            let leaf = Leaf { not_after: SystemTime::now() + left, ..day };
            Credentials::new(pki.material(workload, &leaf)).unwrap()
        };
        let door = Door::to_members().made("shop/cart");
        let cart = Sidecar::start(credentials("shop/cart"), program, &[door]).await;
        let web = Sidecar::start(credentials("shop/web"), program, &to_cart(&[cart.inbound])).await;
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut caller = Client::plain(web.outbound, version).await;
            assert_eq!(caller.get("http://cart.shop/").await.status, 200);
        }
        web.identity.swap(Arc::new(pki.credentials("shop/web")));
        cart.identity.swap(Arc::new(pki.credentials("shop/cart")));
        eventually("the end of the connections", async || {
            let mut caller = Client::plain(web.outbound, Version::HTTP_2).await;
            assert_eq!(caller.get("http://cart.shop/").await.status, 200, "no call is lost to it");
            (web.metric("sluice_upstream_connections") == 1).then_some(())
        })
        .await;
    }
}
