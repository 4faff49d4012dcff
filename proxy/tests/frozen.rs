//! A program that is frozen, for which the system still accepts connections, is found out by the calls that wait for it; one
//! that only takes its time is not taken for such a one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, Response, Version};
use sluice_proxy::{
    control::{
        health::{Asks, Fitness, Sought, watch_program},
        proto::Health,
    },
    host::program::Exposed,
};
use tokio::{net::TcpListener, sync::watch};

use crate::support::{
    eventually,
    http::{Client, empty, program},
    mesh::Mesh,
    resources::Door,
    soon,
};

fn asks() -> Asks {
    let soon = Duration::from_millis(20);
    Asks { every: (soon, soon), patience: Duration::from_millis(200), suspicious: Duration::from_millis(100) }
}

#[tokio::test]
async fn a_frozen_program_is_found_out_by_the_calls_that_wait_for_it() {
    // Nobody ever takes the connections that the system accepts.
    let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = frozen.local_addr().unwrap();
    let mesh = Mesh::new(address, Door::to_members()).await;
    let (health, mut seen) = watch::channel(Health::Unhealthy);
    let watching = tokio::spawn(watch_program(
        Sought::new(address.port(), Exposed::Warn),
        asks(),
        mesh.cart.calls.clone(),
        Fitness::of(1, health),
        0,
    ));
    soon("health", seen.wait_for(|&health| health == Health::Healthy)).await.unwrap();
    let outbound = mesh.web.outbound;
    let call = tokio::spawn(async move { Client::plain(outbound, Version::HTTP_11).await.get("http://cart/").await });
    soon("the finding", seen.wait_for(|&health| health == Health::Unhealthy)).await.unwrap();
    call.abort();
    eventually("nobody waiting", async || mesh.cart.calls.silent_for().is_zero().then_some(())).await;
    // It owes an answer all the same, and thaws.
    tokio::spawn(async move {
        while let Ok((stream, _)) = frozen.accept().await {
            drop(stream);
        }
    });
    soon("health", seen.wait_for(|&health| health == Health::Healthy)).await.unwrap();
    watching.abort();
}

#[tokio::test]
async fn a_program_that_takes_its_time_is_well() {
    let asked = Arc::<AtomicUsize>::default();
    let count = asked.clone();
    let slow = program(move |request| {
        let asked = request.method() == Method::OPTIONS;
        count.fetch_add(asked.into(), Ordering::Relaxed);
        async move { if asked { Response::new(empty()) } else { std::future::pending().await } }
    })
    .await;
    let mesh = Mesh::new(slow, Door::to_members()).await;
    let (health, seen) = watch::channel(Health::Unhealthy);
    let sought = Sought::new(slow.port(), Exposed::Warn);
    let fitness = Fitness::of(1, health);
    let watching = tokio::spawn(watch_program(sought, asks(), mesh.cart.calls.clone(), fitness, 0));
    let outbound = mesh.web.outbound;
    let call = tokio::spawn(async move { Client::plain(outbound, Version::HTTP_11).await.get("http://cart/").await });
    eventually("some questions", async || (asked.load(Ordering::Relaxed) > 5).then_some(())).await;
    assert_eq!(*seen.borrow(), Health::Healthy);
    call.abort();
    watching.abort();
}
