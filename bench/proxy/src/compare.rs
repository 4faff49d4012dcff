//! The comparison: every chain under the same load, in turn, round after round, on one processor, with the program and the
//! load on another. What is told is the median of the rounds, and how far they lie apart.

use std::{collections::BTreeMap, env, fs, net::SocketAddr, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command};

use crate::{
    chain::{Chain, With, shipped},
    load::Outcome,
    peers::{Kind, Peer, Way, write_identity},
    process::{cpu_micros, family, memory_kib},
    support::eventually,
};

const LOAD_CPU: &str = "0";
const PROXY_CPU: &str = "1";

/// The loads: a name, what the generator is told, and whether it has the form of gRPC.
const LOADS: [(&str, &[&str], bool); 3] = [
    ("HTTP/1.1, 64 connections", &["--connections", "64"], false),
    ("HTTP/1.1, 1,500 a second", &["--connections", "64", "--rate", "1500"], false),
    ("gRPC, 128 in flight", &["--connections", "8", "--streams", "16"], true),
];

/// One that is compared.
struct Entrant {
    name: &'static str,
    to: SocketAddr,
    pids: Vec<u32>,
    _keeps: Keeps,
}

#[allow(dead_code, reason = "they are held")]
enum Keeps {
    Ours(Box<Chain>),
    Theirs(Peer, tempfile::TempDir),
}

/// Measures all of it in so many rounds of `seconds`, and writes `<out>.json` and `<out>.md`.
pub async fn compare(rounds: usize, seconds: u64, envoy: &str, out: &Path) {
    let mut table = String::from(
        "| load | chain | requests/s | CPU µs per request | p50 µs | p99 µs | MiB after |\n| - | - | - | - | - | - | - |\n",
    );
    let mut all = Vec::new();
    for (load, words, grpc) in LOADS {
        let program = start_program().await;
        let entrants = entrants(program.1, grpc, envoy).await;
        let mut seen: BTreeMap<usize, Vec<(Outcome, f64)>> = BTreeMap::new();
        for round in 0..=rounds {
            // First one way, then the other; the first round of all only warms up.
            let mut order: Vec<usize> = (0..entrants.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let one = measure(&entrants[index], words, seconds).await;
                if round > 0 {
                    seen.entry(index).or_default().push(one);
                }
            }
        }
        for (index, rounds) in seen {
            let entrant = &entrants[index];
            let memory = memory_kib(&entrant.pids).unwrap_or(0) / 1024;
            let row = row(load, entrant.name, &rounds, memory);
            table += &line(&row);
            all.push(row);
        }
    }
    let machine = json!({
        "date": output("date", &["-u", "+%F"]).await, "kernel": output("uname", &["-r"]).await,
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "loadAverage": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
        "rounds": rounds, "secondsEach": seconds,
        "versions": [output("haproxy", &["-v"]).await, output("nginx", &["-v"]).await, output("rustc", &["-V"]).await],
    });
    let text = serde_json::to_string_pretty(&json!({ "machine": machine, "rows": all })).expect("it is plain");
    fs::write(out.with_extension("json"), text + "\n").expect("it can be written");
    let about = format!("Two proxies in a row with mutual TLS between them, `make bench-proxy`. {machine}\n\n{table}");
    fs::write(out.with_extension("md"), about).expect("it can be written");
    print!("{table}");
}

async fn entrants(program: SocketAddr, grpc: bool, envoy: &str) -> Vec<Entrant> {
    let binary = shipped();
    let wrapper = ["taskset", "-c", PROXY_CPU].map(str::to_owned).into();
    let ours = Chain::start(&With { binary: &binary, wrapper, variables: Vec::new() }, program).await;
    let mut entrants =
        vec![Entrant { name: "Sluice", to: ours.outbound, pids: ours.pids.into(), _keeps: Keeps::Ours(ours.into()) }];
    for kind in Kind::ALL.into_iter().filter(|kind| !grpc || kind.speaks_grpc()) {
        let directory = tempfile::tempdir().expect("there is room");
        write_identity(directory.path());
        let Some(peer) = kind.start(PROXY_CPU, Way { directory: directory.path(), program, grpc, envoy }).await else {
            eprintln!("{} is not installed: left out", kind.name());
            continue;
        };
        let pids = peer.processes.iter().filter_map(tokio::process::Child::id).flat_map(family).collect();
        entrants.push(Entrant { name: kind.name(), to: peer.to, pids, _keeps: Keeps::Theirs(peer, directory) });
    }
    entrants
}

/// One round: what the generator saw, and the time of the proxies for each request.
async fn measure(entrant: &Entrant, words: &[&str], seconds: u64) -> (Outcome, f64) {
    let ourselves = env::current_exe().expect("it has a name");
    let before = cpu_micros(&entrant.pids).unwrap_or(0.0);
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CPU]).arg(ourselves).args(["load", "--to", &entrant.to.to_string()]);
    command.args(words).args(["--seconds", &seconds.to_string()]);
    let output = command.output().await.expect("it runs");
    let outcome: Outcome = serde_json::from_slice(&output.stdout).expect("it tells what it saw");
    let micros = cpu_micros(&entrant.pids).unwrap_or(0.0) - before;
    if outcome.failed > 0 || outcome.requests == 0 {
        eprintln!("{}: {} of {} failed", entrant.name, outcome.failed, outcome.requests);
    }
    #[allow(clippy::cast_precision_loss)]
    let each = micros / outcome.requests.max(1) as f64;
    (outcome, each)
}

/// The program, on the processor of the load.
async fn start_program() -> (tokio::process::Child, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let address = listener.local_addr().expect("it has one");
    drop(listener);
    let ourselves = env::current_exe().expect("it has a name");
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CPU]).arg(ourselves).args(["program", "--listen", &address.to_string()]);
    let process = command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("it runs");
    eventually("the program", async || TcpStream::connect(address).await.ok()).await;
    (process, address)
}

fn row(load: &str, chain: &str, rounds: &[(Outcome, f64)], memory: u64) -> Value {
    #[allow(clippy::cast_precision_loss)]
    let of = |value: fn(&(Outcome, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        json!({ "median": values[values.len() / 2], "min": values[0], "max": values[values.len() - 1] })
    };
    #[allow(clippy::cast_precision_loss)]
    let row = json!({
        "load": load, "chain": chain,
        "rate": of(|(outcome, _)| outcome.rate), "cpu": of(|(_, micros)| *micros),
        "p50": of(|(outcome, _)| outcome.p50 as f64), "p99": of(|(outcome, _)| outcome.p99 as f64),
        "failed": rounds.iter().map(|(outcome, _)| outcome.failed).sum::<u64>(), "memoryMiB": memory,
    });
    row
}

fn line(row: &Value) -> String {
    let number = |name: &str, digits: usize| {
        let [median, min, max] = ["median", "min", "max"].map(|part| row[name][part].as_f64().unwrap_or(f64::NAN));
        format!("{median:.digits$} [{min:.digits$}–{max:.digits$}]")
    };
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |\n",
        text("load"),
        text("chain"),
        number("rate", 0),
        number("cpu", 1),
        number("p50", 0),
        number("p99", 0),
        row["memoryMiB"]
    )
}

async fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().await;
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
