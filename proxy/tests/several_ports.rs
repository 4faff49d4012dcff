//! A program that is called at several ports: each has its own door, its own callers and its own health.

use http::Version;
use serde_json::Value;
use sluice_proxy::control::proto::Health;
use tokio::net::TcpListener;

use crate::support::{
    eventually,
    http::{Client, full, named, program_on},
    process::{Running, World},
    resources::{Door, anyone, anything, policy},
};

fn open(rule: &str) -> Door {
    let allow = vec![(rule.to_owned(), policy(anyone(), anything()))];
    Door { allow, plaintext: true, ..Door::default() }
}

async fn call(sidecar: &Running, port: u16) -> (u16, String) {
    let door = sidecar.addresses.doors[&port];
    let answer = Client::plain(door, Version::HTTP_11).await.get("http://cart/").await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn each_port_is_guarded_by_its_own_door_and_forwarded_to_itself() {
    let world = World::new().await;
    let (http, admin, closed) = (named("http").await, named("admin").await, named("closed").await);
    let doors = [
        (http, open("shop/http/0")),
        (admin, open("shop/admin/0")),
        (closed, Door { plaintext: true, ..Door::default() }),
    ];
    let sidecar = world.start(world.guard(&mut world.command(&[]), &doors)).await;
    sidecar.ready().await;
    eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(())).await;
    assert_eq!(call(&sidecar, http.port()).await, (200, "http HTTP/1.1 GET /".into()));
    assert_eq!(call(&sidecar, admin.port()).await, (200, "admin HTTP/1.1 GET /".into()));
    assert_eq!(call(&sidecar, closed.port()).await.0, 403);
    let (_, metrics) = sidecar.look("/metrics").await;
    for rule in ["shop/http/0", "shop/admin/0"] {
        let counted = format!("sluice_inbound_decisions_total{{decision=\"allow\",rule=\"{rule}\"}} 1");
        assert!(metrics.contains(&counted), "{rule}: {metrics}");
    }
    let (_, config) = sidecar.look("/config").await;
    let shown: Value = serde_json::from_str(&config).unwrap();
    let names: Vec<_> = shown["inbound"].as_array().unwrap().iter().map(|door| door["name"].clone()).collect();
    assert_eq!(names, [http, admin, closed].map(|program| format!("inbound/shop/cart:{}", program.port())));
}

#[tokio::test]
async fn it_is_well_when_it_is_well_at_all_ports_and_says_which_is_not() {
    let world = World::new().await;
    let well = named("cart").await;
    let late = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let doors = [(well, open("shop/cart/0")), (late, open("shop/cart/0"))];
    let sidecar = world.start(world.guard(&mut world.command(&[]), &doors)).await;
    sidecar.ready().await;
    let fault = async |port: u16| {
        let told: Value = serde_json::from_str(&sidecar.look("/readyz").await.1).unwrap();
        told["program"][port.to_string()]["fault"].as_str().map(str::to_owned)
    };
    eventually("one that is found", async || fault(well.port()).await.is_none().then_some(())).await;
    let missed = eventually("one that is not", async || fault(late.port()).await).await;
    assert!(missed.contains("connection refused") || missed.contains("not looked for"), "{missed}");
    assert!(!world.control.told().healths().contains(&Health::Healthy));
    program_on(TcpListener::bind(late).await.unwrap(), |_| async { http::Response::new(full("late")) });
    eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(())).await;
    assert_eq!(call(&sidecar, late.port()).await, (200, "late".into()));
}

#[tokio::test]
async fn it_says_its_ports_with_their_names_and_keeps_its_places_over_a_restart() {
    let world = World::new().await;
    let (http, admin) = (named("http").await.port(), named("admin").await.port());
    let rules = "shop/cart/0";
    world.snapshot.send_replace([http, admin].map(|port| open(rules).made(&format!("shop/cart:{port}"))).to_vec());
    let start = async || {
        let mut command = world.command(&[]);
        let sidecar = world.start(command.env("SLUICE_APP_PORT", format!("http={http},{admin}"))).await;
        sidecar.ready().await;
        sidecar
    };
    let mut sidecar = start().await;
    let places = sidecar.addresses.doors.clone();
    eventually("a report", async || world.control.told().reports.first().map(drop)).await;
    let told = world.control.told().reports[0].ports.clone();
    let said: Vec<_> = told.iter().map(|port| (port.name.as_str(), port.port, port.sidecar_port)).collect();
    let at = |port: u16| u32::from(places[&port].port());
    assert_eq!(said, [("http", u32::from(http), at(http)), ("", u32::from(admin), at(admin))]);
    sidecar.signal(rustix::process::Signal::KILL);
    sidecar.ended().await;
    assert_eq!(start().await.addresses.doors, places);
}
