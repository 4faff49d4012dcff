//! The binary itself: its arguments, its settings, the program beside it, and its end.

use std::{fs, path::Path, sync::Arc};

use http::Version;
use rustix::process::Signal;
use serde_json::Value;
use sluice_proxy::control::proto::Health;
use tokio::{process::Command, sync::watch};

use crate::support::{
    control_plane::{ControlPlane, How},
    eventually,
    http::{Client, full, named, program},
    process::{Running, World, fails},
    resources::{Door, Speaks, cluster, endpoints, routes, service},
};

#[tokio::test]
async fn says_what_it_is() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-proxy"));
    let output = command.arg("--version").output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("sluice-proxy {}\n", env!("CARGO_PKG_VERSION")));
    let help = Command::new(env!("CARGO_BIN_EXE_sluice-proxy")).arg("--help").output().await.unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("SLUICE_STATE_DIR"));
}

#[tokio::test]
async fn bad_settings_are_told_all_at_once() {
    let world = World::new().await;
    let (code, text) = fails(world.command(&[]).env("SLUICE_APP_PORT", "none").env("SLUICE_WHAT", "1")).await;
    assert_eq!(code, Some(64));
    assert_eq!(
        text,
        "sluice-proxy: SLUICE_WHAT: there is no such setting\nsluice-proxy: SLUICE_APP_PORT: \"none\" is not ports like 9001 or http=9001,metrics=9102\n"
    );
    let (code, text) = fails(&mut world.command(&["node", "cart.js"])).await;
    assert_eq!((code, text.as_str()), (Some(64), "sluice-proxy: node is not understood; see --help\n"));
}

#[tokio::test]
async fn a_bad_token_is_one_line() {
    let world = World::new().await;
    let file = world.directory.path().join("bad");
    fs::write(&file, "bad").unwrap();
    let (code, text) = fails(world.command(&[]).env("SLUICE_JOIN_TOKEN_FILE", file)).await;
    let expected = "sluice-proxy: the join token is wrong, used or expired; make a new one with `sluice token join`\n";
    assert_eq!((code, text.as_str()), (Some(1), expected));
}

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let world = World::new().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _taken = tokio::net::TcpListener::bind(taken).await.unwrap();
    let (code, text) = fails(world.command(&[]).env("SLUICE_ADMIN_LISTEN", taken.to_string())).await;
    assert_eq!(code, Some(1));
    let expected = format!("sluice-proxy: SLUICE_ADMIN_LISTEN: cannot listen on {taken}: ");
    assert!(text.starts_with(&expected) && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_state_directory_belongs_to_one_sidecar() {
    let world = World::new().await;
    let mut first = world.start(&mut world.command(&[])).await;
    first.ready().await;
    let (code, text) = fails(&mut world.command(&[])).await;
    assert_eq!(code, Some(1));
    assert!(text.starts_with("sluice-proxy: another sidecar uses ") && text.lines().count() == 1, "{text}");
    first.signal(Signal::TERM);
    assert_eq!(first.ended().await.code(), Some(0));
}

#[tokio::test]
async fn without_a_configuration_the_start_fails_after_a_while() {
    let world = World::new().await;
    world.snapshot.send_replace(Vec::new());
    let mut command = world.command(&["--", "true"]);
    let (code, text) = fails(command.env("SLUICE_APP_PORT", "9").env("SLUICE_START_TIMEOUT", "300ms")).await;
    assert_eq!(code, Some(1));
    let last = "sluice-proxy: the control plane sent no configuration for shop/cart within 300ms";
    assert_eq!(text.lines().last(), Some(last));
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_program() {
    let world = World::new().await;
    let cases = [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)];
    for (script, code) in cases {
        let mut sidecar = world.start(&mut world.command(&["--", "sh", "-c", script])).await;
        assert_eq!(sidecar.ended().await.code(), Some(code), "{script}");
    }
    let left = world.control.told().left;
    assert_eq!(left.len(), cases.len(), "it says good-bye");
    assert_eq!((left[0].namespace.as_str(), left[0].name.as_str()), ("shop", "cart"));
    let (code, text) = fails(&mut world.command(&["--", "/no/such/program"])).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("sluice-proxy: cannot start \"/no/such/program\": No such file"), "{text}");
}

#[tokio::test]
async fn the_program_finds_its_surroundings_and_no_secrets() {
    let world = World::new().await;
    let file = world.directory.path().join("environment");
    let script = format!("env > {}", file.display());
    let mut command = world.command(&["--", "sh", "-c", &script]);
    let mut sidecar = world.start(command.env("NO_PROXY", "internal").env("MINE", "1")).await;
    sidecar.ended().await;
    let text = fs::read_to_string(file).unwrap();
    let outbound = format!("http://{}", sidecar.addresses.outbound);
    for line in [
        format!("HTTP_PROXY={outbound}"),
        format!("http_proxy={outbound}"),
        format!("SLUICE_OUTBOUND={outbound}"),
        format!("SLUICE_ADMIN=http://{}", sidecar.addresses.admin),
        "SLUICE_WORKLOAD=shop/cart".into(),
        "NO_PROXY=internal,localhost,127.0.0.1,::1".into(),
        "no_proxy=localhost,127.0.0.1,::1".into(),
        "NODE_USE_ENV_PROXY=1".into(),
        "MINE=1".into(),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    let ours = text.lines().filter(|line| line.starts_with("SLUICE_")).count();
    assert_eq!(ours, 3, "{text}");
}

/// A script that says when it runs, and what reaches it.
fn listening_script(file: &Path) -> String {
    let file = file.display();
    format!(
        "trap 'echo usr1 >> {file}' USR1; trap 'echo hup >> {file}' HUP; trap 'echo term >> {file}; exit 3' TERM; \
         echo up >> {file}; while :; do sleep 0.02; done"
    )
}

#[tokio::test]
async fn a_sidecar_that_the_control_plane_does_not_know_any_more_serves_is_not_ready_and_asks_again() {
    let world = World::new().await;
    let program = named("cart").await;
    let mut command = world.command(&[]);
    let sidecar = world.start(world.guard(&mut command, &[(program, Door::to_members())])).await;
    sidecar.ready().await;
    let healthy = || world.control.told().healths().iter().filter(|&&health| health == Health::Healthy).count();
    eventually("a report", async || (healthy() > 0).then_some(())).await;
    world.control.evicted.send_replace(true);
    let unknown = async || {
        let (status, body) = sidecar.look("/readyz").await;
        body.contains("does not know this sidecar any more").then_some(status)
    };
    assert_eq!(eventually("the news", unknown).await, 503);
    let doors: Value = serde_json::from_str(&sidecar.look("/config").await.1).unwrap();
    assert!(doors["inbound"][0]["mutualTls"].is_object(), "what is held is served");
    let reports = healthy();
    world.control.evicted.send_replace(false);
    sidecar.ready().await;
    eventually("another report", async || (healthy() > reports).then_some(())).await;
    let log = sidecar.log();
    let said = log.lines().filter(|line| line.contains("does not know this sidecar any more")).count();
    assert_eq!(said, 1, "once, however often it asks: {log}");
}

#[tokio::test]
async fn signals_reach_the_program() {
    let world = World::new().await;
    let file = world.directory.path().join("heard");
    let heard = async |text: &str| fs::read_to_string(&file).ok().filter(|heard| heard == text).map(drop);
    let mut sidecar = world.start(&mut world.command(&["--", "sh", "-c", &listening_script(&file)])).await;
    eventually("the program", async || heard("up\n").await).await;
    sidecar.signal(Signal::USR1);
    eventually("USR1", async || heard("up\nusr1\n").await).await;
    sidecar.signal(Signal::HUP);
    eventually("HUP", async || heard("up\nusr1\nhup\n").await).await;
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(3));
    assert_eq!(fs::read_to_string(&file).unwrap(), "up\nusr1\nhup\nterm\n");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed() {
    let world = World::new().await;
    let file = world.directory.path().join("up");
    let script = format!("trap '' TERM; echo up > {}; while :; do sleep 0.02; done", file.display());
    let mut command = world.command(&["--", "sh", "-c", &script]);
    let mut sidecar = world.start(command.env("SLUICE_DRAIN_TIMEOUT", "300ms")).await;
    eventually("the program", async || file.exists().then_some(())).await;
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(137));
    fs::remove_file(&file).unwrap();
    let mut sidecar = world.start(&mut world.command(&["--", "sh", "-c", &script])).await;
    eventually("the program", async || file.exists().then_some(())).await;
    sidecar.signal(Signal::TERM);
    eventually("draining", async || sidecar.look("/readyz").await.1.contains("draining").then_some(())).await;
    sidecar.signal(Signal::INT);
    assert_eq!(sidecar.ended().await.code(), Some(143), "at once, if asked twice");
}

#[tokio::test]
async fn what_the_program_leaves_behind_is_buried() {
    let world = World::new().await;
    let place = |name: &str| world.directory.path().join(name);
    let (born, go, end) = (place("born"), place("go"), place("end"));
    let wait_for = |file: &Path| format!("while [ ! -e {} ]; do sleep 0.02; done", file.display());
    let orphan = place("orphan.sh");
    fs::write(&orphan, format!("echo $$ > {}; {}", born.display(), wait_for(&go))).unwrap();
    let script = format!("(sh {} &); {}", orphan.display(), wait_for(&end));
    let mut command = world.command(&["--", "sh", "-c", &script]);
    // What it makes of a process that process 1 would get is not its number's doing.
    // SAFETY: between fork and exec only one system call is made.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?));
    }
    let mut sidecar = world.start(&mut command).await;
    let read = || fs::read_to_string(&born).ok()?.trim().parse::<u32>().ok();
    let orphan = eventually("the orphan", async || read()).await;
    let status = || fs::read_to_string(format!("/proc/{orphan}/status"));
    let parent = format!("PPid:\t{}\n", sidecar.process.id().unwrap());
    eventually("its new parent", async || status().unwrap().contains(&parent).then_some(())).await;
    fs::write(go, "").unwrap();
    eventually("its end", async || status().is_err().then_some(())).await;
    fs::write(end, "").unwrap();
    assert_eq!(sidecar.ended().await.code(), Some(0));
}

#[tokio::test]
async fn nobody_waits_for_who_reads_the_log() {
    let world = World::new().await;
    let doors = [(named("cart").await, Door::to_members())];
    let mut sidecar =
        world.start_unheard(world.guard(&mut world.command(&[]), &doors).env("SLUICE_LOG", "trace")).await;
    sidecar.ready().await;
    // A pipe holds 64 KiB.
    for _ in 0..200 {
        // Whatever the answer is to a call of nobody, it comes.
        Client::plain(sidecar.addresses.outbound, Version::HTTP_11).await.get("http://nobody/").await;
        assert_eq!(sidecar.look("/livez").await.0, 200);
    }
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_service_called_sluice_is_no_setting() {
    let world = World::new().await;
    let mut command = world.command(&["--", "sh", "-c", "[ $SLUICE_SERVICE_HOST = 10.0.0.1 ]"]);
    command.env("SLUICE_PORT", "tcp://10.0.0.1:80").env("SLUICE_SERVICE_HOST", "10.0.0.1");
    command.env("SLUICE_SERVICE_PORT_HTTPS", "443").env("SLUICE_PORT_80_TCP_ADDR", "10.0.0.1");
    let mut sidecar = world.start(&mut command).await;
    assert_eq!(sidecar.ended().await.code(), Some(0));
}

#[tokio::test]
async fn it_ends_without_a_loss() {
    let (asked, mut came) = watch::channel(0);
    let (finish, finished) = watch::channel(false);
    let slow = program(move |_| {
        asked.send_modify(|count| *count += 1);
        let mut finished = finished.clone();
        async move {
            let _ = finished.wait_for(|&finished| finished).await;
            http::Response::new(full("done"))
        }
    })
    .await;
    let world = World::new().await;
    let anyone = vec![(
        "p/q/0".into(),
        crate::support::resources::policy(crate::support::resources::anyone(), crate::support::resources::anything()),
    )];
    let door = Door { allow: anyone, plaintext: true, ..Door::default() };
    let file = world.directory.path().join("heard");
    let mut command = world.command(&["--", "sh", "-c", &listening_script(&file)]);
    let mut sidecar = world.start(world.guard(&mut command, &[(slow, door)])).await;
    sidecar.ready().await;
    eventually("health", async || world.control.told().healths().contains(&Health::Healthy).then_some(())).await;
    let reports = world.control.told().reports;
    let [port] = &*reports[0].ports else { panic!("{reports:?}") };
    let reached_at = sidecar.addresses.inbound.unwrap().port();
    assert_eq!((port.port, port.sidecar_port), (slow.port().into(), reached_at.into()));
    assert_eq!((reports[0].address.as_str(), reports[0].health()), ("127.0.0.1", Health::Unhealthy));
    let inbound = sidecar.addresses.inbound.unwrap();
    let call = tokio::spawn(async move { Client::plain(inbound, Version::HTTP_11).await.get("http://cart/").await });
    came.wait_for(|&count| count == 1).await.unwrap();
    eventually("the program", async || file.exists().then_some(())).await;
    sidecar.signal(Signal::TERM);
    eventually("the report", async || (world.control.told().healths().last() == Some(&Health::Draining)).then_some(()))
        .await;
    assert_eq!(sidecar.look("/readyz").await.0, 503);
    assert_eq!(sidecar.look("/livez").await.0, 200);
    assert_eq!(fs::read_to_string(&file).unwrap(), "up\n", "the program is not told while a caller waits");
    finish.send_replace(true);
    assert_eq!(call.await.unwrap().body, "done");
    assert_eq!(sidecar.ended().await.code(), Some(3));
    assert_eq!(world.control.told().left.len(), 1);
}

#[tokio::test]
async fn no_control_plane_keeps_it_from_ending() {
    let world = World::new().await;
    let mut sidecar = world.start(&mut world.command(&[])).await;
    sidecar.ready().await;
    let World { control, mut tasks, directory: _directory, .. } = world;
    tasks.shutdown().await;
    drop(control);
    sidecar.signal(Signal::INT);
    assert_eq!(sidecar.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_sidecar_outlives_the_control_plane_and_comes_back_to_it() {
    let mut world = World::new().await;
    let name = "cart.shop:80";
    let legacy = named("legacy").await;
    world.snapshot.send_modify(|all| {
        all.extend([
            service(name),
            routes(name, &[(name, 1)]),
            cluster(name, Speaks::Plaintext),
            endpoints(name, &[legacy]),
        ]);
    });
    let mut command = world.command(&[]);
    let mut sidecar = world.start(world.guard(&mut command, &[(legacy, Door::to_members())])).await;
    sidecar.ready().await;
    let call = async |sidecar: &Running| {
        Client::plain(sidecar.addresses.outbound, Version::HTTP_11).await.get("http://cart/").await.status
    };
    assert_eq!(call(&sidecar).await, 200);
    let saved = async || {
        let size = fs::metadata(world.state().join("last-config.bin")).ok()?.len();
        (size > 1_000).then_some(())
    };
    eventually("the copy on disk", saved).await;

    let ports = world.control.ports();
    world.tasks.shutdown().await;
    world.control = Arc::new(ControlPlane::start(&world.pki).await);
    assert_eq!(call(&sidecar).await, 200, "without a control plane");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(0));

    let mut command = world.command(&[]);
    command.env("SLUICE_JOIN_ADDR", ports[0].to_string()).env("SLUICE_XDS_ADDR", ports[1].to_string());
    let mut sidecar = world.start(world.guard(&mut command, &[(legacy, Door::to_members())])).await;
    sidecar.ready().await;
    assert_eq!(call(&sidecar).await, 200, "started again without a control plane");
    let (_, config) = sidecar.look("/config").await;
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["controlPlane"]["connected"], false);
    assert_eq!(config["inbound"][0]["mutualTls"]["allow"][0]["rule"], "default/all-authenticated");
    assert_eq!(config["identity"]["id"], "spiffe://sluice.local/ns/shop/sa/cart");

    world.control = Arc::new(ControlPlane::start_as(&world.pki, How { ports, ..How::default() }).await);
    world.serve();
    let connected = async || {
        let (_, config) = sidecar.look("/config").await;
        serde_json::from_str::<Value>(&config).unwrap()["controlPlane"]["connected"].as_bool().filter(|&yes| yes)
    };
    eventually("the stream", connected).await;
    eventually("a report", async || (!world.control.told().reports.is_empty()).then_some(())).await;
    let (_, metrics) = sidecar.look("/metrics").await;
    assert!(metrics.contains("\nsluice_xds_connected 1\n"), "{metrics}");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(0));
}
