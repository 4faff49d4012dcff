//! Bytes that nobody looks into, from program to program through two sidecars: whoever speaks first, however it ends, and who may.

use std::{net::SocketAddr, sync::Arc};

use http::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    bytes::{bytes_cluster, bytes_service, bytes_service_that_closes, bytes_service_with_idle_timeout},
    eventually,
    http::{Client, named},
    mesh::{DB, Mesh, Sidecar, to_cart, to_db},
    pki::{Pki, id},
    resources::{Door, Made, Speaks, account, anything, endpoints, policy},
    soon,
};

/// `db`, whose port carries bytes, and `web`, which connects to it.
pub struct Bytes {
    pub pki: Pki,
    pub db: Sidecar,
    pub web: Sidecar,
    pub program: TcpListener,
}

impl Bytes {
    pub async fn new(door: Door) -> Self {
        let program = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (place, pki) = (program.local_addr().unwrap(), Pki::new());
        let db = Sidecar::start(pki.credentials("shop/db"), place, &[door.bytes_made("shop/db")]).await;
        let web = Sidecar::start(pki.credentials("shop/web"), place, &to_db(&[db.inbound])).await;
        Self { pki, db, web, program }
    }

    /// A connection of the program of `web`, and what it has become at that of `db`.
    pub async fn connected(&self) -> (TcpStream, TcpStream) {
        let here = TcpStream::connect(self.web.forwarded).await.unwrap();
        let (there, _) = soon("a connection", self.program.accept()).await.unwrap();
        (here, there)
    }

    /// Waits until no connection is open on either side, and this is how they have ended.
    pub async fn ended(&self, inbound: &str, outbound: &str) {
        let counted = |sidecar: &Sidecar, series: String| sidecar.metric(&series) == 1;
        let port = self.program.local_addr().unwrap().port();
        let series = [
            format!("sluice_tcp_inbound_connections_total{{port=\"{port}\",result=\"{inbound}\"}}"),
            format!("sluice_tcp_outbound_connections_total{{service=\"{DB}\",backend=\"{DB}\",result=\"{outbound}\"}}"),
        ];
        let over = async || {
            let [inbound, outbound] = series.clone();
            (counted(&self.db, inbound) && counted(&self.web, outbound)).then_some(())
        };
        eventually("the end on both sides", over).await;
        assert_eq!((Self::open(&self.db, "inbound"), Self::open(&self.web, "outbound")), (0, 0));
        assert_eq!(self.db.in_flight.inside(), 0);
    }

    pub fn open(sidecar: &Sidecar, direction: &str) -> u64 {
        sidecar.metric(&format!("sluice_tcp_open{{direction=\"{direction}\"}}"))
    }
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn hear(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    soon("words", stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), text);
}

/// That the other side ended, after its last byte.
async fn hear_the_end(stream: &mut TcpStream) {
    assert_eq!(soon("the end", stream.read(&mut [0; 1])).await.unwrap(), 0);
}

/// That the connection was cut off, and did not just end.
pub async fn feel_the_cut(stream: &mut TcpStream) {
    let end = soon("the end", stream.read(&mut [0; 1])).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

fn cut(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test]
async fn whoever_speaks_first_is_heard() {
    let mesh = Bytes::new(Door::to_members()).await;
    let (mut here, mut there) = mesh.connected().await;
    say(&mut there, "220 who are you?").await;
    hear(&mut here, "220 who are you?").await;
    say(&mut here, "web").await;
    hear(&mut there, "web").await;
    let (mut here, mut there) = mesh.connected().await;
    say(&mut here, "hello").await;
    hear(&mut there, "hello").await;
    say(&mut there, "hello yourself").await;
    hear(&mut here, "hello yourself").await;
    assert_eq!((Bytes::open(&mesh.web, "outbound"), Bytes::open(&mesh.db, "inbound")), (2, 2));
}

#[tokio::test]
async fn either_half_ends_alone_and_the_other_goes_on() {
    for first in ["caller", "program"] {
        let mesh = Bytes::new(Door::to_members()).await;
        let (mut here, mut there) = mesh.connected().await;
        let (one, other) = if first == "caller" { (&mut here, &mut there) } else { (&mut there, &mut here) };
        say(one, "the last of mine").await;
        one.shutdown().await.unwrap();
        hear(other, "the last of mine").await;
        hear_the_end(other).await;
        say(other, "but not of mine").await;
        hear(one, "but not of mine").await;
        other.shutdown().await.unwrap();
        hear_the_end(one).await;
        mesh.ended("whole", "whole").await;
    }
}

#[tokio::test]
async fn a_reset_arrives_as_one_on_whichever_side_it_was() {
    for first in ["caller", "program"] {
        let mesh = Bytes::new(Door::to_members()).await;
        let (mut here, mut there) = mesh.connected().await;
        say(&mut here, "a").await;
        hear(&mut there, "a").await;
        let (one, mut other) = if first == "caller" { (here, there) } else { (there, here) };
        cut(one);
        feel_the_cut(&mut other).await;
        mesh.ended("cut", "cut").await;
    }
}

#[tokio::test]
async fn what_was_cut_off_between_the_sidecars_never_looks_whole() {
    let mesh = Bytes::new(Door::to_members()).await;
    let relay = crate::support::relay::Relay::to(mesh.db.inbound).await;
    mesh.web.swap(&to_db(&[relay.address]));
    let (mut here, mut there) = mesh.connected().await;
    say(&mut there, "half of it").await;
    hear(&mut here, "half of it").await;
    // The way is closed as systems close it when a process ends: without the end that TLS has.
    relay.close();
    feel_the_cut(&mut here).await;
    feel_the_cut(&mut there).await;
}

#[tokio::test]
async fn ten_mebibytes_each_way_at_once_arrive_as_they_were() {
    let mesh = Bytes::new(Door::to_members()).await;
    let (here, there) = mesh.connected().await;
    let bytes = |seed: u32| -> Vec<u8> {
        (0..10_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16).to_le_bytes()[0]).collect()
    };
    let exchange = async |stream: TcpStream, ours: u32, theirs: u32| {
        let (mut read, mut write) = stream.into_split();
        let sending = tokio::spawn(async move {
            write.write_all(&bytes(ours)).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut came = Vec::new();
        soon("all of it", read.read_to_end(&mut came)).await.unwrap();
        sending.await.unwrap();
        assert!(came == bytes(theirs), "{} bytes, and not as they were", came.len());
    };
    tokio::join!(exchange(here, 1, 2), exchange(there, 2, 1));
    mesh.ended("whole", "whole").await;
    let port = mesh.program.local_addr().unwrap().port();
    for (sidecar, name) in [
        (&mesh.db, format!("sluice_tcp_inbound_bytes_total{{port=\"{port}\"")),
        (&mesh.web, format!("sluice_tcp_outbound_bytes_total{{service=\"{DB}\",backend=\"{DB}\"")),
    ] {
        for way in ["received", "sent"] {
            assert_eq!(sidecar.metric(&format!("{name},way=\"{way}\"}}")), 10 << 20, "{name} {way}");
        }
    }
    assert_eq!((mesh.db.burden.ledger().held(), mesh.web.burden.ledger().held()), (0, 0));
}

#[tokio::test]
async fn who_reads_nothing_holds_its_own_sender_back_and_what_is_held_is_counted() {
    let mesh = Bytes::new(Door::to_members()).await;
    let (mut here, mut there) = mesh.connected().await;
    let sending = tokio::spawn(async move {
        let sent = here.write_all(&vec![7; 64 << 20]).await;
        (here, sent.is_ok())
    });
    let held = async || (mesh.db.burden.ledger().held() > 0).then_some(());
    eventually("something that is held", held).await;
    assert!(mesh.db.burden.ledger().held() <= 64 << 10 && mesh.web.burden.ledger().held() <= 64 << 10);
    assert!(!sending.is_finished());
    let mut came = vec![0; 64 << 20];
    soon("all of it", there.read_exact(&mut came)).await.unwrap();
    assert!(came.iter().all(|&byte| byte == 7));
    let (_here, whole) = sending.await.unwrap();
    assert!(whole);
    let none = async || (mesh.db.burden.ledger().held() + mesh.web.burden.ledger().held() == 0).then_some(());
    eventually("nothing that is held", none).await;
}

/// Asks for a tunnel: the connection, and the head of the answer.
async fn ask(place: SocketAddr, name: &str, at_once: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(place).await.unwrap();
    say(&mut stream, &format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n{at_once}")).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("a head", stream.read_u8()).await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

#[tokio::test]
async fn a_tunnel_leads_there_as_well_and_loses_nothing_that_was_sent_at_once() {
    let mesh = Bytes::new(Door::to_members()).await;
    for name in ["db:5432", "db.shop:5432"] {
        let asking = ask(mesh.web.outbound, name, "at once");
        let ((mut here, head), there) = tokio::join!(asking, soon("a connection", mesh.program.accept()));
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let (mut there, _) = there.unwrap();
        hear(&mut there, "at once").await;
        there.shutdown().await.unwrap();
        hear_the_end(&mut here).await;
        // Whoever has heard the end may still speak: nothing of it is thrown away.
        say(&mut here, "and more").await;
        hear(&mut there, "and more").await;
        cut(here);
        feel_the_cut(&mut there).await;
    }
}

#[tokio::test]
async fn what_carries_bytes_takes_no_requests_and_the_other_way_round() {
    let mesh = Bytes::new(Door::to_members()).await;
    let mut resources = to_db(&[mesh.db.inbound]);
    resources.extend(to_cart(&[mesh.db.inbound]));
    mesh.web.swap(&resources);
    let mut client = Client::plain(mesh.web.outbound, Version::HTTP_11).await;
    let answer = client.get("http://db:5432/").await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "carries-bytes"), "{answer:?}");
    // That the port carries bytes, cart's callers do not know (yet): the handshake says it.
    let answer = client.get("http://cart/").await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "tls-failed"), "{answer:?}");
    assert!(answer.body.contains("or the certificate") || answer.body.contains("does not carry"), "{answer:?}");
}

#[tokio::test]
async fn a_caller_of_bytes_is_told_that_a_door_takes_requests() {
    let program = named("cart").await;
    let mesh = Mesh::new(program, Door::to_members()).await;
    mesh.web.swap(&[
        bytes_service(DB, &[(DB, 1)]),
        bytes_cluster(DB, Speaks::Tls(&[id("shop/cart")])),
        endpoints(DB, &[mesh.cart.inbound]),
    ]);
    let (_, head) = ask(mesh.web.outbound, "db:5432", "").await;
    assert!(head.starts_with("HTTP/1.1 502 ") && head.contains("tls_certificate_error"), "{head}");
    let mut forwarded = TcpStream::connect(mesh.web.forwarded).await.unwrap();
    feel_the_cut(&mut forwarded).await;
    let series =
        format!("sluice_tcp_outbound_connections_total{{service=\"{DB}\",backend=\"{DB}\",result=\"tls-failed\"}}");
    eventually("the count", async || (mesh.web.metric(&series) == 2).then_some(())).await;
}

#[tokio::test]
async fn where_nobody_is_or_nobody_may_be_it_is_cut_off_at_once_with_a_reason() {
    let mesh = Bytes::new(Door::to_members()).await;
    let standing =
        |made: Vec<Made>| [made, vec![bytes_cluster(DB, Speaks::Tls(&[id("shop/db")])), endpoints(DB, &[])]].concat();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [
        ("nothing weighs anything", standing(vec![bytes_service_that_closes(DB)]), "route-answers", "none"),
        ("nobody stands there", standing(vec![bytes_service(DB, &[(DB, 1)])]), "no-endpoint", DB),
        ("nobody listens there", to_db(&[closed]), "connect-failed", DB),
    ];
    for (sentence, resources, result, backend) in cases {
        mesh.web.swap(&resources);
        let mut here = TcpStream::connect(mesh.web.forwarded).await.unwrap();
        feel_the_cut(&mut here).await;
        let series = format!(
            "sluice_tcp_outbound_connections_total{{service=\"{DB}\",backend=\"{backend}\",result=\"{result}\"}}"
        );
        eventually(sentence, async || (mesh.web.metric(&series) == 1).then_some(())).await;
    }
    let mut unknown = Mesh::new(closed, Door::to_members()).await.web.forwarded;
    unknown.set_ip([127, 0, 0, 1].into());
    feel_the_cut(&mut TcpStream::connect(unknown).await.unwrap()).await;
}

#[tokio::test]
async fn another_endpoint_is_tried_as_long_as_nothing_was_sent() {
    let mesh = Bytes::new(Door::to_members()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // It proves to be somebody else.
    let other =
        Sidecar::start(mesh.pki.credentials("shop/job"), closed, &[Door::to_members().bytes_made("shop/job")]).await;
    mesh.web.swap(&to_db(&[closed, other.inbound, mesh.db.inbound]));
    for _ in 0..3 {
        let (mut here, mut there) = mesh.connected().await;
        say(&mut here, "hello").await;
        hear(&mut there, "hello").await;
    }
}

#[tokio::test]
async fn a_split_shares_connections_exactly() {
    let mesh = Bytes::new(Door::to_members()).await;
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = second.local_addr().unwrap();
    let other =
        Sidecar::start(mesh.pki.credentials("shop/db"), place, &[Door::to_members().bytes_made("shop/db")]).await;
    let mut resources = to_db(&[mesh.db.inbound]);
    resources[0] = bytes_service(DB, &[(DB, 9), ("db-2.shop:5432", 1)]);
    resources.push(bytes_cluster("db-2.shop:5432", Speaks::Tls(&[id("shop/db")])));
    resources.push(endpoints("db-2.shop:5432", &[other.inbound]));
    mesh.web.swap(&resources);
    let mut counts = [0, 0];
    for _ in 0..20 {
        let _here = TcpStream::connect(mesh.web.forwarded).await.unwrap();
        tokio::select! {
            one = soon("a connection", mesh.program.accept()) => drop((one.unwrap(), counts[0] += 1)),
            two = second.accept() => drop((two.unwrap(), counts[1] += 1)),
        }
    }
    assert_eq!(counts, [18, 2]);
}

#[tokio::test]
async fn it_ends_when_nothing_moves() {
    let mesh = Bytes::new(Door::to_members()).await;
    let mut resources = to_db(&[mesh.db.inbound]);
    resources[0] = bytes_service_with_idle_timeout(DB, &[(DB, 1)], 300);
    mesh.web.swap(&resources);
    let (mut here, mut there) = mesh.connected().await;
    feel_the_cut(&mut here).await;
    feel_the_cut(&mut there).await;
    mesh.ended("cut", "idle").await;
}

#[tokio::test]
async fn it_ends_with_the_proof_of_either_side() {
    for side in ["caller", "called"] {
        let mesh = Bytes::new(Door::to_members()).await;
        let (mut here, mut there) = mesh.connected().await;
        let sidecar = if side == "caller" { &mesh.web } else { &mesh.db };
        // The anchor on which the proof of the other side rests is taken away.
        sidecar.identity.swap(Arc::new(Pki::new().credentials("shop/x")));
        feel_the_cut(&mut here).await;
        feel_the_cut(&mut there).await;
        let (inbound, outbound) = if side == "caller" { ("cut", "distrusted") } else { ("expired", "cut") };
        mesh.ended(inbound, outbound).await;
    }
}

#[tokio::test]
async fn it_ends_with_the_permission_and_no_other_change_touches_it() {
    let mesh = Bytes::new(Door::to_members()).await;
    let (mut here, mut there) = mesh.connected().await;
    let to_web = || Door::to("shop/p", &id("shop/web"));
    mesh.db.swap(&[to_web().bytes_made("shop/db")]);
    say(&mut here, "still here").await;
    hear(&mut there, "still here").await;
    let deny = vec![("shop/d/0".to_owned(), policy(account(&id("shop/web")), anything()))];
    mesh.db.swap(&[Door { deny, ..to_web() }.bytes_made("shop/db")]);
    feel_the_cut(&mut here).await;
    feel_the_cut(&mut there).await;
    mesh.ended("revoked", "cut").await;
    // Taken back, others may come.
    mesh.db.swap(&[to_web().bytes_made("shop/db")]);
    let (mut here, mut there) = mesh.connected().await;
    say(&mut here, "again").await;
    hear(&mut there, "again").await;
    // No connection of bytes lives on behind a door for requests.
    mesh.db.swap(&[Door::to_members().made("shop/db")]);
    feel_the_cut(&mut here).await;
    feel_the_cut(&mut there).await;
}
