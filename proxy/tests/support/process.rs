//! Sidecars in processes of their own, and what they stand in: a mesh with a control plane.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use http::Version;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use super::{
    control_plane::{ControlPlane, TOKEN},
    eventually,
    http::Client,
    pki::Pki,
    resources::{Door, Made},
    soon,
};

/// The binary.
const SIDECAR: &str = env!("CARGO_BIN_EXE_sluice-proxy");

/// A mesh with a control plane, and one place for a sidecar.
pub struct World {
    pub pki: Arc<Pki>,
    pub control: Arc<ControlPlane>,
    pub snapshot: watch::Sender<Vec<Made>>,
    pub directory: tempfile::TempDir,
    pub tasks: JoinSet<()>,
}

/// A sidecar in a process of its own.
pub struct Running {
    pub process: Child,
    pub addresses: Addresses,
    log: Arc<Mutex<String>>,
}

#[derive(Clone)]
pub struct Addresses {
    /// Of the only port, or of one of them.
    pub inbound: Option<SocketAddr>,
    /// By the port of the program.
    pub doors: BTreeMap<u16, SocketAddr>,
    pub outbound: SocketAddr,
    pub admin: SocketAddr,
}

impl World {
    pub async fn new() -> Self {
        let pki = Arc::new(Pki::new());
        let control = Arc::new(ControlPlane::start(&pki).await);
        let directory = tempfile::tempdir().unwrap();
        let snapshot = watch::Sender::new(Vec::new());
        let mut world = Self { pki, control, snapshot, directory, tasks: JoinSet::new() };
        world.serve();
        world
    }

    pub fn serve(&mut self) {
        let (control, snapshot) = (self.control.clone(), self.snapshot.subscribe());
        self.tasks.spawn(async move { control.serve(snapshot).await });
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.prepare(Command::new(SIDECAR), arguments)
    }

    /// Has the sidecar of `command` stand before a program, each port of which is guarded by its own door.
    pub fn guard<'c>(&self, command: &'c mut Command, doors: &[(SocketAddr, Door)]) -> &'c mut Command {
        let port = |&(program, _): &(SocketAddr, Door)| program.port().to_string();
        for door in doors {
            self.snapshot.send_modify(|all| all.push(door.1.made(&format!("shop/cart:{}", port(door)))));
        }
        command.env("SLUICE_APP_PORT", doors.iter().map(port).collect::<Vec<_>>().join(","))
    }

    /// A sidecar that is started by a shell: in its script, `"$0" "$@"` is the sidecar.
    pub fn command_by(&self, script: &str, arguments: &[&str]) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-c", script, SIDECAR]);
        self.prepare(shell, arguments)
    }

    fn prepare(&self, mut command: Command, arguments: &[&str]) -> Command {
        let token = self.directory.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        command
            .args(arguments)
            .env("SLUICE_STATE_DIR", self.state())
            .env("SLUICE_JOIN_TOKEN_FILE", token)
            .env("SLUICE_TRUST_ANCHORS", self.pki.anchor_pem())
            .env("SLUICE_JOIN_ADDR", self.control.join.to_string())
            .env("SLUICE_XDS_ADDR", self.control.members.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts a sidecar whose log nobody reads.
    pub async fn start_unheard(&self, command: &mut Command) -> Running {
        let before = fs::read(self.state().join("addresses.json")).unwrap_or_default();
        let process = command.spawn().unwrap();
        let addresses = eventually("addresses.json", async || read_addresses(&self.state(), &before)).await;
        Running { process, addresses, log: Arc::default() }
    }

    /// Starts a sidecar, and waits until it is ready.
    pub async fn start(&self, command: &mut Command) -> Running {
        let Running { mut process, addresses, log } = self.start_unheard(command).await;
        // Whatever it logs must be taken from it, or it would wait for that.
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let text = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                text.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Running { process, addresses, log }
    }
}

/// Not those of an earlier sidecar: its process had another number.
fn read_addresses(state: &Path, before: &[u8]) -> Option<Addresses> {
    let text = fs::read(state.join("addresses.json")).ok()?;
    if text == before {
        return None;
    }
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert!(json["pid"].as_u64().is_some());
    let address = |name: &str| json[name].as_str().map(|text| text.parse().unwrap());
    let doors: BTreeMap<u16, SocketAddr> = serde_json::from_value(json["inbound"].clone()).unwrap();
    let inbound = doors.values().next().copied();
    Some(Addresses { inbound, doors, outbound: address("outbound")?, admin: address("admin")? })
}

impl Running {
    pub async fn look(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.addresses.admin);
        let answer = Client::plain(self.addresses.admin, Version::HTTP_11).await.get(&url).await;
        (answer.status, answer.body)
    }

    /// Waits for a line of the log that holds `text`, and gives it.
    pub async fn says(&self, text: &str) -> String {
        let find = || self.log.lock().unwrap().lines().find(|line| line.contains(text)).map(str::to_owned);
        eventually(text, async || find()).await
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub async fn ready(&self) {
        eventually("readiness", async || (self.look("/readyz").await.0 == 200).then_some(())).await;
    }

    /// The most memory that it has had at once, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap(), signal).unwrap();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        soon("the end", self.process.wait()).await.unwrap()
    }
}

/// Runs a sidecar that does not come far: its exit code and what it says.
pub async fn fails(command: &mut Command) -> (Option<i32>, String) {
    let output = soon("the end", command.stderr(Stdio::piped()).output()).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
