//! `sluice-bench`: measures the sidecar. `gate` is deterministic and fails on what costs more than it did; `memory`,
//! `load` and `program` are what the larger comparison is made of.

mod admin;
mod chain;
mod compare;
mod gate;
mod load;
mod memory;
mod peers;
mod process;
mod program;
#[allow(dead_code, missing_docs, clippy::pedantic, reason = "it is made for the tests, which use all of it")]
mod support;

use std::{
    collections::HashMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use chain::{With, shipped};
use gate::Figures;
use load::{Amount, Plan};
use tokio::net::TcpListener;

const USAGE: &str = "usage: sluice-bench gate FIGURES.json [--write true]\n       \
    sluice-bench compare [--rounds 7] [--seconds 2] [--envoy PROGRAM] --out FILE\n       \
    sluice-bench memory [--clients 4000] [--env NAME=VALUE,…]\n       \
    sluice-bench load --to ADDRESS [--connections 64] [--streams 16] [--rate 1500] [--seconds 2]\n       \
    sluice-bench program --listen ADDRESS";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let Some(wishes) = Wishes::read(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    match &*task {
        "gate" => runtime.block_on(hold(&wishes)),
        "compare" => runtime.block_on(async {
            let (rounds, seconds) = (wishes.number("rounds").unwrap_or(7), wishes.number("seconds").unwrap_or(2));
            let envoy = if wishes.text("envoy").is_empty() { "envoy" } else { wishes.text("envoy") };
            compare::compare(rounds, seconds, envoy, Path::new(wishes.text("out"))).await;
            ExitCode::SUCCESS
        }),
        "memory" => runtime.block_on(async {
            let binary = shipped();
            let variables = wishes.text("env").split(',').filter_map(|pair| pair.split_once('='));
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let with = With { binary: &binary, wrapper: Vec::new(), variables };
            println!("{}", memory::measure(&with, wishes.number("clients").unwrap_or(4_000)).await);
            ExitCode::SUCCESS
        }),
        "load" => runtime.block_on(async {
            let to: SocketAddr = wishes.text("to").parse().expect("--to is an address");
            let seconds = wishes.number("seconds").unwrap_or(2);
            let plan = Plan {
                to,
                connections: wishes.number("connections").unwrap_or(64),
                streams: wishes.number("streams"),
                rate: wishes.number("rate"),
                amount: Amount::Time(Duration::from_secs(seconds)),
            };
            println!("{}", serde_json::to_string(&load::run(plan).await).expect("it is plain"));
            ExitCode::SUCCESS
        }),
        "program" => runtime.block_on(async {
            let listener = TcpListener::bind(wishes.text("listen")).await.expect("--listen is an address that is free");
            program::serve(listener).await;
            ExitCode::SUCCESS
        }),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(64)
        }
    }
}

/// Measures, and compares with what is committed, or writes that anew.
async fn hold(wishes: &Wishes) -> ExitCode {
    let missing = gate::missing();
    if !missing.is_empty() {
        let what = format!("{} is missing; `make tools-gate` installs it", missing.join(" and "));
        eprintln!("sluice-bench: NOT CHECKED what a request costs: {what}");
        return ExitCode::SUCCESS;
    }
    let file = PathBuf::from(&wishes.first);
    let measured = gate::measure(&shipped()).await;
    if wishes.text("write") == "true" {
        let text = serde_json::to_string_pretty(&measured).expect("it is plain");
        fs::write(file, text + "\n").expect("it can be written");
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let committed: Figures = serde_json::from_str(&text).expect("it was written by this program");
    let (table, passes) = gate::compare(&measured, &committed);
    print!("{table}");
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the arguments say: one word, then names and values.
struct Wishes {
    first: String,
    named: HashMap<String, String>,
}

impl Wishes {
    fn read(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut wishes = Self { first: String::new(), named: HashMap::new() };
        let mut arguments = arguments;
        while let Some(word) = arguments.next() {
            match word.strip_prefix("--") {
                Some(name) => drop(wishes.named.insert(name.to_owned(), arguments.next()?)),
                None => wishes.first = word,
            }
        }
        Some(wishes)
    }

    fn text(&self, name: &str) -> &str {
        self.named.get(name).map_or("", String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.named.get(name)?.parse().ok()
    }
}
