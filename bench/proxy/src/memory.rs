//! What connections that ask for nothing cost in memory, and what is left when they have gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    chain::{Chain, With},
    load::{Amount, Plan, run},
    process::memory_kib,
    program,
};

/// Memory in KiB of the caller's sidecar and of the other: at first, with `clients` that each have asked once, with as
/// many in flight as `load` says, and half a minute after all have gone.
pub async fn measure(with: &With<'_>, clients: usize) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
    let address = listener.local_addr().expect("it has one");
    tokio::spawn(program::serve(listener));
    let chain = Chain::start(with, address).await;
    let now = || chain.pids.map(|pid| memory_kib(&[pid]).unwrap_or(0));
    let idle = now();
    let mut held = Vec::new();
    for _ in 0..clients {
        let mut client = TcpStream::connect(chain.outbound).await.expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nhost: cart.shop\r\n\r\n").await.expect("it listens");
        let mut answer = [0; 2048];
        let read = client.read(&mut answer).await.expect("it answers");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        held.push(client);
    }
    sleep(Duration::from_secs(2)).await;
    let connected = now();
    drop(held);
    sleep(Duration::from_secs(30)).await;
    let left = now();
    let amount = Amount::Requests(40_000);
    let plan = Plan { to: chain.outbound, connections: 1_000, streams: None, rate: None, amount };
    let load = run(plan).await;
    let loaded = now();
    sleep(Duration::from_secs(30)).await;
    let after = now();
    chain.stop().await;
    #[allow(clippy::cast_precision_loss)]
    let each = |index: usize| (connected[index] as f64 - idle[index] as f64) / clients as f64;
    json!({
        "idleKiB": idle, "clients": clients, "connectedKiB": connected, "perClientKiB": [each(0), each(1)],
        "closed30sKiB": left, "inFlight1000KiB": loaded, "failed": load.failed, "afterLoad30sKiB": after,
    })
}
