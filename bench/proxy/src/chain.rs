//! Two sidecars in a row, as two programs would have them: the caller's, mutual TLS, the called one's.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use crate::support::{
    control_plane::{ControlPlane, How, TOKEN},
    eventually,
    pki::{Pki, id},
    resources::{Door, Made, Speaks, cluster, endpoints, routes, service},
};

const CART: &str = "cart.shop:80";

/// The variable that says which sidecar is measured.
const BINARY: &str = "SLUICE_PROXY_BIN";

/// Two sidecars, and what they need.
pub struct Chain {
    /// Where the program of the caller calls.
    pub outbound: SocketAddr,
    /// The process of each: of the caller's sidecar, and of the other.
    pub pids: [u32; 2],
    sidecars: [Sidecar; 2],
    _serving: JoinSet<()>,
    _directory: tempfile::TempDir,
}

struct Sidecar {
    process: Child,
    addresses: Addresses,
}

#[derive(Clone, Deserialize)]
struct Addresses {
    pid: u32,
    inbound: BTreeMap<u16, SocketAddr>,
    outbound: SocketAddr,
    admin: SocketAddr,
}

/// How the sidecars are run.
pub struct With<'a> {
    /// The sidecar.
    pub binary: &'a Path,
    /// What it is run by, like `valgrind` with its options; `{}` is the name of the workload.
    pub wrapper: Vec<String>,
    /// More for their environment.
    pub variables: Vec<(String, String)>,
}

impl Chain {
    /// Starts both before `program`, and waits until they serve.
    pub async fn start(with: &With<'_>, program: SocketAddr) -> Self {
        let pki = Arc::new(Pki::new());
        let directory = tempfile::tempdir().expect("there is room");
        let mut serving = JoinSet::new();
        let door = vec![Door::to_members().made(&format!("shop/cart:{}", program.port()))];
        let cart = start(with, &pki, "shop/cart", directory.path(), &mut serving, door, Some(program)).await;
        let way = vec![
            service(CART),
            routes(CART, &[(CART, 1)]),
            cluster(CART, Speaks::Tls(&[id("shop/cart")])),
            endpoints(CART, &[*cart.addresses.inbound.values().next().expect("it is called")]),
        ];
        let web = start(with, &pki, "shop/web", directory.path(), &mut serving, way, None).await;
        Self {
            outbound: web.addresses.outbound,
            pids: [web.addresses.pid, cart.addresses.pid],
            sidecars: [web, cart],
            _serving: serving,
            _directory: directory,
        }
    }

    /// Ends both in good order, and waits for that.
    pub async fn stop(mut self) {
        for sidecar in &mut self.sidecars {
            let pid = sidecar.addresses.pid.to_string();
            let _ = Command::new("kill").arg(&pid).status().await;
            let _ = sidecar.process.wait().await;
        }
    }
}

async fn start(
    with: &With<'_>,
    pki: &Arc<Pki>,
    workload: &'static str,
    directory: &Path,
    serving: &mut JoinSet<()>,
    snapshot: Vec<Made>,
    program: Option<SocketAddr>,
) -> Sidecar {
    let control =
        ControlPlane::start_as(pki, How { workload, account: "sluice/control-plane", ..How::default() }).await;
    let name = workload.replace('/', "-");
    let (state, token) = (directory.join(&name), directory.join(format!("{name}.token")));
    fs::write(&token, TOKEN).expect("there is room");
    let [program_name, arguments @ ..] = &*wrapped(with, &name) else { unreachable!() };
    let mut command = Command::new(program_name);
    command
        .args(arguments)
        // Which sidecar it is, is no setting of it.
        .env_remove(BINARY)
        .env("SLUICE_STATE_DIR", &state)
        .env("SLUICE_JOIN_TOKEN_FILE", token)
        .env("SLUICE_TRUST_ANCHORS", pki.anchor_pem())
        .env("SLUICE_JOIN_ADDR", control.join.to_string())
        .env("SLUICE_XDS_ADDR", control.members.to_string())
        .env("SLUICE_START_TIMEOUT", "180s")
        .env("SLUICE_LOG", "error")
        .envs(with.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(program) = program {
        command.env("SLUICE_APP_PORT", program.port().to_string());
    }
    let (sender, receiver) = watch::channel(snapshot);
    serving.spawn(async move {
        control.serve(receiver).await;
        drop(sender);
    });
    let process = command.spawn().expect("it can be started");
    let addresses = eventually("the sidecar to listen", async || addresses(&state.join("addresses.json"))).await;
    eventually("the sidecar to be ready", async || is_ready(addresses.admin, program.is_some()).await).await;
    Sidecar { process, addresses }
}

fn wrapped(with: &With<'_>, name: &str) -> Vec<String> {
    let wrapper = with.wrapper.iter().map(|part| part.replace("{}", name));
    wrapper.chain([with.binary.display().to_string()]).collect()
}

fn addresses(file: &Path) -> Option<Addresses> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Whether it is ready, and has found its program if it has one.
async fn is_ready(admin: SocketAddr, has_program: bool) -> Option<()> {
    let text = crate::admin::get(admin, "/readyz").await?;
    let answer: serde_json::Value = serde_json::from_str(&text).ok()?;
    let is_found = || answer["program"].as_object().is_some_and(|all| all.values().all(|one| one["fault"].is_null()));
    (answer["ready"] == true && (!has_program || is_found())).then_some(())
}

/// The sidecar as it is shipped, or whatever `SLUICE_PROXY_BIN` says.
pub fn shipped() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/sluice-proxy");
    std::env::var_os(BINARY).map_or_else(beside, PathBuf::from)
}
