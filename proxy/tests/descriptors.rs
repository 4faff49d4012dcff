//! File descriptors: a sidecar takes no more connections than it can carry, and its program has the limit that it would
//! have without a sidecar.

use std::fs;

use http::Version;
use tokio::net::TcpStream;

use crate::support::{
    eventually,
    http::{Client, named},
    process::{World, fails},
    resources::{Door, Speaks, cluster, endpoints, routes, service},
};

#[tokio::test]
async fn the_program_has_the_limit_that_the_sidecar_was_given() {
    let world = World::new().await;
    let (file, end) = (world.directory.path().join("limit"), world.directory.path().join("end"));
    let script = format!("ulimit -Sn > {}; while [ ! -e {} ]; do sleep 0.02; done", file.display(), end.display());
    let mut command =
        world.command_by("ulimit -Sn 300; ulimit -Hn 900; exec \"$0\" \"$@\"", &["--", "sh", "-c", &script]);
    let mut sidecar = world.start(&mut command).await;
    let theirs = eventually("the program", async || fs::read_to_string(&file).ok().filter(|text| !text.is_empty()));
    assert_eq!(theirs.await, "300\n");
    let ours = fs::read_to_string(format!("/proc/{}/limits", sidecar.process.id().unwrap())).unwrap();
    let ours = ours.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(ours.split_whitespace().nth(3), Some("900"), "{ours}");
    fs::write(end, "").unwrap();
    sidecar.ended().await;
}

#[tokio::test]
async fn connections_that_say_nothing_leave_room_for_work() {
    let world = World::new().await;
    let (name, cart) = ("cart.shop:80", named("cart").await);
    world.snapshot.send_modify(|all| {
        all.extend([service(name), routes(name, &[(name, 1)]), cluster(name, Speaks::Plaintext)]);
        all.push(endpoints(name, &[cart]));
    });
    let mut command = world.command_by("ulimit -n 300; exec \"$0\" \"$@\"", &[]);
    let sidecar = world.start(world.guard(&mut command, &[(cart, Door::to_members())])).await;
    sidecar.ready().await;
    let line = sidecar.says("SLUICE_MAX_CONNECTIONS").await;
    assert!(line.contains("\"descriptors\":300") && line.contains("\"connections\":25"), "{line}");
    let mut silent = Vec::new();
    for _ in 0..310 {
        silent.push(TcpStream::connect(sidecar.addresses.inbound.unwrap()).await.unwrap());
    }
    let call = async || Client::plain(sidecar.addresses.outbound, Version::HTTP_11).await.get("http://cart/").await;
    assert_eq!(call().await.status, 200);
    assert_eq!(sidecar.look("/readyz").await.0, 200);
    drop(silent);
}

#[tokio::test]
async fn with_too_few_descriptors_it_does_not_start() {
    let world = World::new().await;
    let (code, text) = fails(&mut world.command_by("ulimit -n 128; exec \"$0\" \"$@\"", &["--", "true"])).await;
    assert_eq!(code, Some(1));
    let expected = "sluice-proxy: only 128 files may be open at once (ulimit -n), and a sidecar needs ";
    assert!(text.starts_with(expected) && text.lines().count() == 1, "{text}");
}
