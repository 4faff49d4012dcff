//! Other users of the same machine, who reach loopback as well.

use std::process::Stdio;

use rustix::process::geteuid;
use tokio::process::Command;

use crate::support::{
    process::{Running, World},
    soon,
};

/// What `user` is told at `port` of loopback.
async fn ask(user: u32, port: u16, path: &str) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' >&3; \
         cat <&3"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).uid(user).current_dir("/").stderr(Stdio::null());
    String::from_utf8(soon("an answer", command.output()).await.unwrap().stdout).unwrap()
}

async fn sidecar(world: &World, users: &str) -> Running {
    let sidecar = world.start(world.command(&[]).env("SLUICE_LOCAL_USERS", users)).await;
    sidecar.ready().await;
    sidecar
}

#[tokio::test]
async fn only_those_users_are_heard_that_may_speak_for_the_workload() {
    if !geteuid().is_root() {
        eprintln!("only root can be two users");
        return;
    }
    let world = World::new().await;
    let sidecar = sidecar(&world, "own,65533").await;
    let (outbound, admin) = (sidecar.addresses.outbound.port(), sidecar.addresses.admin.port());
    for (user, heard) in [(0, true), (65_533, true), (65_534, false)] {
        assert_eq!(ask(user, outbound, "/").await.starts_with("HTTP/1.1 "), heard, "{user}");
        assert_eq!(ask(user, admin, "/config").await.starts_with("HTTP/1.1 200"), heard, "{user}");
        assert!(ask(user, admin, "/livez").await.starts_with("HTTP/1.1 200"), "whoever probes may be anybody");
    }
    let refusal = ask(65_534, admin, "/metrics").await;
    assert!(refusal.starts_with("HTTP/1.1 403") && refusal.contains("SLUICE_LOCAL_USERS"), "{refusal}");
    let line = sidecar.says("user 65534 may not call here").await;
    assert!(line.contains("WARN"), "{line}");
}
