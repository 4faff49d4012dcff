//! A trust anchor that is taken away takes the connections with it that rest on it, and no others.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use sluice_proxy::{
    exchange::upstream,
    http::ServerSettings,
    identity::{
        credentials::{HTTP_1, HTTP_2},
        verify::Expected,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    eventually,
    http::{Client, empty, named, program},
    mesh::{Bounds, Sidecar, to_cart},
    pki::Pki,
    resources::Door,
    soon,
};

/// What is on its way has so long to end.
fn bounds() -> Bounds {
    let farewell = Duration::from_millis(100);
    Bounds {
        settings: ServerSettings { farewell, ..ServerSettings::default() },
        upstream: upstream::Settings { farewell, ..upstream::Settings::default() },
        ..Bounds::default()
    }
}

#[tokio::test]
async fn callers_that_are_no_longer_believed_are_put_out_and_the_others_stay() {
    let (old, new) = (Pki::new(), Pki::new());
    let door = Door::to_members().made("shop/cart");
    let both = new.credentials_believing("shop/cart", &[&old]);
    let cart_id = Expected::OneOf(Arc::new([both.leaf.id.clone()]));
    let cart = Sidecar::bounded(both, named("cart").await, &[door], bounds()).await;
    let mut callers = Vec::new();
    for (believed, pki, other) in [(false, &old, &new), (true, &new, &old)] {
        let web = pki.credentials_believing("shop/web", &[other]);
        for (version, protocol) in [(Version::HTTP_11, HTTP_1), (Version::HTTP_2, HTTP_2)] {
            let config = web.client(cart_id.clone(), protocol).unwrap();
            let mut caller = Client::tls(cart.inbound, config, version).await.unwrap();
            assert_eq!(caller.get("http://cart/").await.status, 200);
            callers.push((believed, caller));
        }
    }
    // Another leaf under the same anchors is no news to anybody.
    cart.identity.swap(Arc::new(new.credentials_believing("shop/cart", &[&old])));
    for (_, caller) in &mut callers {
        assert_eq!(caller.get("http://cart/").await.status, 200);
    }
    cart.identity.swap(Arc::new(new.credentials("shop/cart")));
    for (believed, caller) in &mut callers {
        let request = http::Request::get("http://cart/").header("host", "cart").body(empty()).unwrap();
        match caller.try_send(request).await {
            Ok(answer) => assert_eq!(answer.status(), if *believed { 200 } else { 403 }),
            Err(_) => assert!(!*believed, "put out already"),
        }
    }
    eventually("the end of the others", async || (cart.metric("sluice_inbound_connections") == 2).then_some(())).await;
    for (_, caller) in callers.iter_mut().filter(|(believed, _)| *believed) {
        assert_eq!(caller.get("http://cart/").await.status, 200);
    }
}

#[tokio::test]
async fn whoever_is_no_longer_believed_is_called_no_more_and_what_it_sends_is_cut_off() {
    let stream = program(|_| async {
        let (sender, receiver) = mpsc::channel(1);
        let body = Box::leak(Box::new(sender));
        let _: Result<(), _> = body.send(Ok(Frame::data(Bytes::from("some")))).await;
        Response::new(UnsyncBoxBody::new(StreamBody::new(ReceiverStream::new(receiver))))
    })
    .await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (old, new) = (Pki::new(), Pki::new());
        let door = Door::to_members().made("shop/cart");
        let theirs = old.credentials_believing("shop/cart", &[&new]);
        let cart = Sidecar::start(theirs, stream, &[door]).await;
        let both = new.credentials_believing("shop/web", &[&old]);
        let web = Sidecar::bounded(both, stream, &to_cart(&[cart.inbound]), bounds()).await;
        let mut caller = Client::plain(web.outbound, version).await;
        let request = || http::Request::get("http://cart.shop/").header("host", "cart.shop").body(empty()).unwrap();
        let mut answer = caller.send(request()).await;
        soon("a beginning", answer.frame()).await.unwrap().unwrap();
        web.identity.swap(Arc::new(new.credentials("shop/web")));
        let mut other = Client::plain(web.outbound, version).await;
        assert_eq!(other.get("http://cart.shop/").await.problem_code(), "tls-failed", "{version:?}");
        assert!(soon("the end", answer.collect()).await.is_err(), "{version:?}: it does not look whole");
        let gone = async || (web.metric("sluice_upstream_connections") == 0).then_some(());
        eventually("the end of the connection", gone).await;
    }
}
