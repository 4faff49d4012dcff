//! How a sidecar ends when its program has ended by itself: what was answered is delivered first.

use std::{fs, sync::LazyLock};

use http::{Request, Version};
use rustix::process::Signal;
use sluice_proxy::control::proto::Health;
use tokio::sync::watch;

use crate::support::{
    eventually,
    http::{Answer, Body, Client, empty, full, program},
    process::{Running, World},
    resources::{Door, anyone, anything, policy},
};

/// A sidecar beside a program that answers after `finish`, and ends when the file exists.
struct Ending {
    world: World,
    sidecar: Running,
    finish: watch::Sender<bool>,
    came: watch::Receiver<u32>,
}

impl Ending {
    async fn new(body: &'static str) -> Self {
        let (asked, came) = watch::channel(0);
        let (finish, finished) = watch::channel(false);
        let slow = program(move |_| {
            asked.send_modify(|count| *count += 1);
            let mut finished = finished.clone();
            async move {
                let _ = finished.wait_for(|&finished| finished).await;
                http::Response::new(full(body))
            }
        })
        .await;
        let world = World::new().await;
        let allow = vec![("p/q/0".into(), policy(anyone(), anything()))];
        let door = Door { allow, plaintext: true, ..Door::default() };
        let script =
            format!("while [ ! -e {} ]; do sleep 0.02; done; exit 5", world.directory.path().join("end").display());
        let mut command = world.command(&["--", "sh", "-c", &script]);
        let sidecar = world.start(world.guard(&mut command, &[(slow, door)])).await;
        sidecar.ready().await;
        eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(())).await;
        Self { world, sidecar, finish, came }
    }

    /// Lets the program end, and waits until everybody knows.
    async fn end_program(&self) {
        fs::write(self.world.directory.path().join("end"), "").unwrap();
        let told = async || (self.world.control.told().healths().last() == Some(&Health::Draining)).then_some(());
        eventually("the report", told).await;
    }
}

#[tokio::test]
async fn what_is_in_flight_when_the_program_ends_is_answered() {
    let mut ending = Ending::new("done").await;
    let inbound = ending.sidecar.addresses.inbound.unwrap();
    let call = tokio::spawn(async move { Client::plain(inbound, Version::HTTP_11).await.get("http://cart/").await });
    ending.came.wait_for(|&count| count == 1).await.unwrap();
    ending.end_program().await;
    let (status, text) = ending.sidecar.look("/readyz").await;
    assert!(status == 503 && text.contains("the program has ended"), "{text}");
    ending.finish.send_replace(true);
    assert_eq!(call.await.unwrap().body, "done");
    assert_eq!(ending.sidecar.ended().await.code(), Some(5));
    assert_eq!(ending.world.control.told().left.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_being_read_is_read_to_its_end() {
    static LARGE: LazyLock<String> = LazyLock::new(|| "x".repeat(32 << 20));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut ending = Ending::new(&LARGE).await;
        ending.finish.send_replace(true);
        let mut client = Client::plain(ending.sidecar.addresses.inbound.unwrap(), version).await;
        let response = client.send(request()).await;
        ending.end_program().await;
        assert!(Answer::of(response).await.body == *LARGE);
        assert_eq!(ending.sidecar.ended().await.code(), Some(5));
    }
}

#[tokio::test]
async fn who_asks_twice_does_not_wait() {
    let mut ending = Ending::new("done").await;
    let inbound = ending.sidecar.addresses.inbound.unwrap();
    let call = tokio::spawn(async move { Client::plain(inbound, Version::HTTP_11).await.try_send(request()).await });
    ending.came.wait_for(|&count| count == 1).await.unwrap();
    ending.end_program().await;
    ending.sidecar.signal(Signal::TERM);
    assert_eq!(ending.sidecar.ended().await.code(), Some(5));
    assert!(call.await.unwrap().is_err());
}

fn request() -> Request<Body> {
    Request::get("http://cart/").header("host", "cart").body(empty()).unwrap()
}
