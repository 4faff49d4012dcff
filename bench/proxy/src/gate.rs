//! What a request costs, in numbers that are the same on every machine: user instructions and system calls of both
//! sidecars together. Each is the difference between a short life of a chain and a longer one. More than a tenth over the
//! figure that is committed fails. Instructions are those that valgrind's processor is given, which is the same everywhere; the
//! compiler is not, so that figures of another one are told and hold nobody up.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    chain::{Chain, With},
    load::{Amount, Plan, run},
    program,
};

/// By how much a figure may be over the committed one.
const MARGIN: f64 = 0.10;

/// For each number of connections, how many requests make the difference.
const STAGES: [(usize, u64); 2] = [(1, 1_000), (16, 3_200)];

/// What is sent in any case, so that connections are there and everything has run once.
const WARM: [(usize, u64); 2] = [(1, 200), (16, 640)];

/// Per request, by the number of connections.
pub type Costs = BTreeMap<usize, f64>;

/// All figures of the gate.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// What compiled the sidecar: the same code costs something else from another one.
    #[serde(default)]
    pub compiler: String,
    /// User instructions per request.
    pub instructions: Costs,
    /// System calls per request.
    pub syscalls: Costs,
}

/// What counts.
#[derive(Clone, Copy)]
enum Instrument {
    Callgrind,
    Strace,
}

impl Instrument {
    fn program(self) -> &'static str {
        match self {
            Self::Callgrind => "valgrind",
            Self::Strace => "strace",
        }
    }

    /// How many lives it looks at.
    fn lives(self) -> usize {
        match self {
            Self::Callgrind => 1,
            Self::Strace => 3,
        }
    }

    fn wrapper(self, directory: &Path) -> Vec<String> {
        let out = directory.join("{}.out").display().to_string();
        let words = match self {
            Self::Callgrind => vec!["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=OUT"],
            Self::Strace => vec!["strace", "-f", "-c", "-o", "OUT"],
        };
        words.into_iter().map(|word| word.replace("OUT", &out)).collect()
    }

    /// What it has counted, by what it wrote.
    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Callgrind => {
                text.lines().find_map(|line| line.strip_prefix("totals: "))?.split(' ').next()?.parse().ok()
            }
            Self::Strace => {
                let total = text.lines().rev().find(|line| line.ends_with(" total"))?;
                total.split_ascii_whitespace().nth(3)?.parse().ok()
            }
        }
    }
}

/// Measures everything.
pub async fn measure(binary: &Path) -> Figures {
    Figures {
        compiler: compiler(),
        instructions: costs(binary, Instrument::Callgrind).await,
        syscalls: costs(binary, Instrument::Strace).await,
    }
}

/// The version of the compiler, as it says it.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

async fn costs(binary: &Path, instrument: Instrument) -> Costs {
    let short = least(binary, instrument, None).await;
    let mut costs = Costs::new();
    for (connections, requests) in STAGES {
        let long = least(binary, instrument, Some((connections, requests))).await;
        #[allow(clippy::cast_precision_loss)]
        costs.insert(connections, (long - short) / requests as f64);
    }
    costs
}

/// The least that a life costs. How many requests are met at once, and need no call of their own, is a matter of luck when a
/// machine is busy: of system calls, the least of some lives is the sidecar's. Instructions are hardly a matter of that.
async fn least(binary: &Path, instrument: Instrument, stage: Option<(usize, u64)>) -> f64 {
    let mut least = life(binary, instrument, stage).await;
    for _ in 1..instrument.lives() {
        least = least.min(life(binary, instrument, stage).await);
    }
    least
}

/// What both sidecars of one chain cost, from beginning to end.
async fn life(binary: &Path, instrument: Instrument, stage: Option<(usize, u64)>) -> f64 {
    let directory = tempfile::tempdir().expect("there is room");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
    let address = listener.local_addr().expect("it has one");
    let serving = tokio::spawn(program::serve(listener));
    let with = With { binary, wrapper: instrument.wrapper(directory.path()), variables: Vec::new() };
    let chain = Chain::start(&with, address).await;
    let load = async |connections, requests| {
        let amount = Amount::Requests(requests);
        run(Plan { to: chain.outbound, connections, streams: None, rate: None, amount }).await
    };
    for (connections, requests) in WARM {
        // Where everything takes its time, the first ones may take too long.
        load(connections, requests).await;
    }
    if let Some((connections, requests)) = stage {
        let outcome = load(connections, requests).await;
        assert_eq!((outcome.requests, outcome.failed), (requests, 0), "every request is answered");
    }
    chain.stop().await;
    serving.abort();
    let count = |name: &str| {
        let text = fs::read_to_string(directory.path().join(format!("{name}.out"))).unwrap_or_default();
        instrument.read(&text).unwrap_or_else(|| panic!("{} wrote no figure: {text}", instrument.program()))
    };
    count("shop-web") + count("shop-cart")
}

/// The programs that are missing.
pub fn missing() -> Vec<&'static str> {
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    [Instrument::Callgrind, Instrument::Strace].map(Instrument::program).into_iter().filter(|name| !has(name)).collect()
}

/// A table of both, and whether all is within the margin.
pub fn compare(measured: &Figures, committed: &Figures) -> (String, bool) {
    let mut text = String::from("per request, both sidecars     committed   measured\n");
    let mut passes = true;
    let kinds = [
        ("user instructions", &measured.instructions, &committed.instructions),
        ("system calls", &measured.syscalls, &committed.syscalls),
    ];
    for (what, measured, committed) in kinds {
        for (connections, cost) in measured {
            let before = committed.get(connections).copied().unwrap_or(f64::NAN);
            let change = cost / before - 1.0;
            let verdict = match change {
                change if change.is_nan() || change > MARGIN => "TOO MUCH",
                change if change < -MARGIN => "better: commit it (make gate-figures)",
                _ => "",
            };
            passes &= verdict != "TOO MUCH";
            let row = format!("{what}, {connections} connections");
            let change = change * 100.0;
            let _ = writeln!(text, "{row:<30} {before:>9.1} {cost:>10.1} {change:>+6.1} % {verdict}");
        }
    }
    if measured.compiler != committed.compiler {
        let (ours, theirs) = (&measured.compiler, &committed.compiler);
        let _ = writeln!(text, "NOT HELD: the figures are of {theirs:?}, and this is of {ours:?} (make gate-figures)");
        return (text, true);
    }
    (text, passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_are_read() {
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            \x20 1.00    0.000100           1        12         2 read\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000420           2       210         3 total\n";
        assert_eq!(Instrument::Strace.read(strace), Some(210.0));
        assert_eq!(Instrument::Callgrind.read("events: Ir\n\nfn=x\n1 2\n\ntotals: 12345\n"), Some(12345.0));
        assert_eq!(Instrument::Callgrind.read(""), None);
    }

    #[test]
    fn a_tenth_more_fails_and_less_does_not() {
        let compiler = String::from("rustc");
        let figures = |cost| Figures {
            compiler: compiler.clone(),
            instructions: [(1, cost)].into(),
            syscalls: [(1, 10.0)].into(),
        };
        let committed = figures(100.0);
        for (cost, passes) in [(100.0, true), (109.0, true), (111.0, false), (50.0, true)] {
            assert_eq!(compare(&figures(cost), &committed).1, passes, "{cost}");
        }
        let none = Figures { compiler: compiler.clone(), ..Figures::default() };
        assert!(!compare(&figures(1.0), &none).1, "without a figure nothing is held");
        let other = Figures { compiler: "another".into(), ..figures(1.0) };
        let (text, passes) = compare(&figures(100.0), &other);
        assert!(passes && text.contains("NOT HELD"), "{text}");
    }
}
