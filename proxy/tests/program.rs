//! The program beside a sidecar: where it is found, what is said when it is not, and what else it does.

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

fn open() -> Door {
    let allow = vec![("shop/cart/0".to_owned(), policy(anyone(), anything()))];
    Door { allow, plaintext: true, ..Door::default() }
}

/// What is said of the program at its only port.
async fn told(sidecar: &Running) -> Value {
    let (status, text) = sidecar.look("/readyz").await;
    assert_eq!(status, 200, "whether the program runs does not decide whether its sidecar does: {text}");
    only(&text)
}

fn only(text: &str) -> Value {
    let told: Value = serde_json::from_str(text).unwrap();
    told["program"].as_object().unwrap().values().next().unwrap().clone()
}

async fn call(sidecar: &Running) -> u16 {
    Client::plain(sidecar.addresses.inbound.unwrap(), Version::HTTP_11).await.get("http://cart/").await.status
}

#[tokio::test]
async fn a_program_is_found_on_either_loopback() {
    for place in ["127.0.0.1:0", "[::1]:0"] {
        // A machine without IPv6 has no second one.
        let Ok(listener) = TcpListener::bind(place).await else { continue };
        let address = program_on(listener, |_| async { http::Response::new(full("hello")) });
        let world = World::new().await;
        let mut command = world.command(&[]);
        let sidecar = world.start(world.guard(&mut command, &[(address, open())])).await;
        sidecar.ready().await;
        eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(())).await;
        assert_eq!(call(&sidecar).await, 200, "{address}");
        assert_eq!(told(&sidecar).await["address"], address.to_string());
        assert_eq!(told(&sidecar).await["fault"], Value::Null);
    }
}

#[tokio::test]
async fn why_a_program_is_not_found_is_told() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let port = nobody.port();
    let world = World::new().await;
    let sidecar = world.start(world.guard(&mut world.command(&[]), &[(nobody, open())])).await;
    sidecar.ready().await;
    let expected =
        format!("it does not answer on 127.0.0.1:{port} (connection refused) or [::1]:{port} (connection refused)");
    eventually("the reason", async || (told(&sidecar).await["fault"] == expected.as_str()).then_some(())).await;
    sidecar.says(&expected).await;
    let (_, config) = sidecar.look("/config").await;
    assert_eq!(only(&config)["fault"], expected);
}

#[tokio::test]
async fn a_program_that_others_reach_is_told_and_refused_if_so_wished() {
    for (setting, healthy) in [("warn", true), ("refuse", false)] {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = program_on(listener, |_| async { http::Response::new(full("hello")) });
        let world = World::new().await;
        let mut command = world.command(&[]);
        world.guard(&mut command, &[(address, open())]).env("SLUICE_EXPOSED_PROGRAM", setting);
        let sidecar = world.start(&mut command).await;
        sidecar.ready().await;
        let open_at = async || (told(&sidecar).await["openAt"][0] == address.to_string()).then_some(());
        eventually("what is said of it", open_at).await;
        sidecar.says("can be called past its sidecar").await;
        let fault = told(&sidecar).await["fault"].clone();
        assert_eq!(fault.is_null(), healthy, "{fault}");
        if healthy {
            eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(()))
                .await;
        } else {
            assert!(fault.as_str().unwrap().contains("SLUICE_EXPOSED_PROGRAM"), "{fault}");
            assert_eq!(call(&sidecar).await, 503);
            assert!(!world.control.told().healths().contains(&Health::Healthy));
        }
    }
}

#[tokio::test]
async fn a_program_on_loopback_is_open_to_nobody() {
    let world = World::new().await;
    let program = named("cart").await;
    let sidecar = world.start(world.guard(&mut world.command(&[]), &[(program, open())])).await;
    sidecar.ready().await;
    sidecar.says("the program is found").await;
    assert_eq!(told(&sidecar).await["openAt"], serde_json::json!([]));
}
