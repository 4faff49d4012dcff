//! Who comes in where bytes do: by mutual TLS or in plaintext, allowed or not, and in which protocol.

use std::sync::Arc;

use sluice_proxy::identity::{
    credentials::{BYTES, HTTP_2, server_name},
    verify::Expected,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::{
    bytes::{Bytes, feel_the_cut},
    support::{
        eventually,
        mesh::Sidecar,
        pki::{Pki, id},
        resources::{Door, account, anyone, anything, policy},
        soon,
    },
};

fn open() -> Door {
    let allow = vec![("shop/open/0".to_owned(), policy(anyone(), anything()))];
    Door { allow, plaintext: true, ..Door::default() }
}

#[tokio::test]
async fn whoever_may_not_connect_is_cut_off_and_the_verdict_is_counted() {
    let deny = vec![("shop/d/0".to_owned(), policy(account(&id("shop/web")), anything()))];
    let cases = [
        (Door::to("shop/p", &id("shop/job")), "deny", "none"),
        (Door { deny, ..Door::to("shop/p", &id("shop/web")) }, "deny", "shop/d/0"),
        (Door::to("shop/p", &id("shop/web")), "allow", "shop/p/0"),
    ];
    for (door, decision, rule) in cases {
        let mesh = Bytes::new(door).await;
        let mut here = TcpStream::connect(mesh.web.forwarded).await.unwrap();
        if decision == "deny" {
            feel_the_cut(&mut here).await;
            mesh.ended("denied", "cut").await;
        } else {
            soon("a connection", mesh.program.accept()).await.unwrap();
        }
        let series = format!("sluice_inbound_decisions_total{{decision=\"{decision}\",rule=\"{rule}\"}}");
        assert_eq!(mesh.db.metric(&series), 1, "{series}");
    }
}

#[tokio::test]
async fn what_is_audited_is_counted_and_decides_nothing() {
    let audited = vec![("shop/a/0".to_owned(), policy(account(&id("shop/job")), anything()))];
    let mesh = Bytes::new(Door { audited_allow: Some(audited), ..Door::to_members() }).await;
    let (_here, _there) = mesh.connected().await;
    assert_eq!(mesh.db.metric("sluice_inbound_audit_total{decision=\"deny\",rule=\"none\"}"), 1);
}

#[tokio::test]
async fn who_has_no_sidecar_comes_in_where_everybody_may_whoever_speaks_first() {
    let mesh = Bytes::new(open()).await;
    let mut here = TcpStream::connect(mesh.db.inbound).await.unwrap();
    here.write_all(b"*1\r\n").await.unwrap();
    let (mut there, _) = soon("a connection", mesh.program.accept()).await.unwrap();
    let mut heard = [0; 4];
    soon("words", there.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"*1\r\n");
    let mut here = TcpStream::connect(mesh.db.inbound).await.unwrap();
    let (mut there, _) = soon("a connection", mesh.program.accept()).await.unwrap();
    there.write_all(b"220 hi").await.unwrap();
    let mut heard = [0; 6];
    soon("words", here.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"220 hi");
    let port = mesh.program.local_addr().unwrap().port();
    assert_eq!(mesh.db.metric(&format!("sluice_tcp_inbound_silent_total{{port=\"{port}\"}}")), 1);
    // Members come in by the same door.
    mesh.connected().await;
}

#[tokio::test]
async fn who_has_no_sidecar_does_not_come_in_where_members_alone_may() {
    let mesh = Bytes::new(Door::to_members()).await;
    let mut here = TcpStream::connect(mesh.db.inbound).await.unwrap();
    here.write_all(b"*1\r\n").await.unwrap();
    let end = soon("the end", here.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let refused =
        async || (mesh.db.metric("sluice_inbound_refused_connections_total{reason=\"plaintext\"}") == 1).then_some(());
    eventually("the count", refused).await;
}

#[tokio::test]
async fn what_a_connection_carries_is_agreed_in_the_handshake_or_there_is_none() {
    let mesh = Bytes::new(Door::to_members()).await;
    let requests = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cart =
        Sidecar::start(mesh.pki.credentials("shop/cart"), requests, &[Door::to_members().made("shop/cart")]).await;
    let us = mesh.pki.credentials("shop/web");
    let handshake = async |place, who: &str, protocol: &[u8]| {
        let expected = Expected::OneOf(Arc::new([sluice_proxy::base::spiffe::SpiffeId::parse(&id(who)).unwrap()]));
        let mut config = Arc::unwrap_or_clone(us.client(expected, protocol).unwrap());
        if protocol.is_empty() {
            config.alpn_protocols.clear();
        }
        let stream = TcpStream::connect(place).await.unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(server_name([127, 0, 0, 1].into()), stream);
        let agreed = soon("a handshake", connecting).await.ok()?;
        Some(agreed.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    };
    // Who comes from elsewhere, and offers nothing, is taken for what the door is for.
    assert_eq!(handshake(mesh.db.inbound, "shop/db", BYTES).await, Some(Some(BYTES.to_vec())));
    assert_eq!(handshake(mesh.db.inbound, "shop/db", b"").await, Some(None));
    assert_eq!(handshake(mesh.db.inbound, "shop/db", HTTP_2).await, None);
    assert_eq!(handshake(cart.inbound, "shop/cart", BYTES).await, None);
    assert_eq!(handshake(cart.inbound, "shop/cart", HTTP_2).await, Some(Some(HTTP_2.to_vec())));
    assert_eq!(handshake(cart.inbound, "shop/cart", b"").await, Some(None));
}

#[tokio::test]
async fn a_stranger_is_believed_nothing() {
    let mesh = Bytes::new(Door::to_members()).await;
    mesh.web.identity.swap(Arc::new(Pki::new().credentials("shop/web")));
    let mut here = TcpStream::connect(mesh.web.forwarded).await.unwrap();
    feel_the_cut(&mut here).await;
    assert_eq!(mesh.db.metric("sluice_inbound_decisions_total"), 0);
}
