//! Who may use whom, and why. The table is the architecture: a new row, or a new word in one, is a decision.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A module, what it may use, and the reason for that.
const RULES: &[(&str, &[&str], &str)] = &[
    ("accept", &["gate"], "it takes connections and does not know for whom"),
    (
        "admin",
        &[
            "accept",
            "config",
            "gate",
            "http",
            "identity",
            "ledger",
            "metrics",
            "program",
            "published",
            "standing",
            "users",
            "xds",
        ],
        "it shows everything and changes nothing",
    ),
    ("app", &["*"], "it puts the parts together"),
    ("backoff", &[], "it is arithmetic"),
    (
        "burden",
        &["gate", "http", "ledger", "shares", "spiffe"],
        "it weighs what is on its way, whichever door it came by",
    ),
    ("calls", &[], "it counts who waits"),
    ("chance", &[], "it is chance, whoever draws it"),
    ("child", &["service_links", "terminal"], "it knows processes and no network"),
    ("config", &["spiffe"], "it is the evaluator: pure, without I/O, clock, locks or wire types"),
    ("descriptors", &[], "it is arithmetic about a limit of the system"),
    ("drain", &[], "it is a decision"),
    ("durable", &[], "it writes files"),
    (
        "env",
        &["program", "service_links", "users", "xds"],
        "it reads settings; the limits of decoding are some of them",
    ),
    ("error", &["config", "http", "spiffe"], "it alone turns faults into answers"),
    ("gate", &[], "it counts"),
    ("health", &["calls", "program", "proto", "published", "sockets"], "it asks the program how it is"),
    (
        "http",
        &["gate", "ledger"],
        "it is the engine behind a seam: it knows neither policy nor mesh, so that it can be replaced",
    ),
    ("ledger", &[], "it counts"),
    (
        "identity",
        &["backoff", "chance", "durable", "link", "metrics", "proto", "published", "spiffe", "wall_clock"],
        "who we are does not depend on what we do",
    ),
    (
        "inbound",
        &[
            "accept",
            "burden",
            "calls",
            "config",
            "error",
            "gate",
            "http",
            "identity",
            "metrics",
            "program",
            "published",
            "record",
            "shares",
            "spiffe",
            "upstream",
            "wall_clock",
        ],
        "it reads what is in force; it never hears the control plane",
    ),
    (
        "link",
        &["identity::verify"],
        "it is the way to the control plane, whoever goes it; it tells in words who was met there",
    ),
    ("listeners", &["durable", "env", "program", "state_dir"], "it takes sockets and says where they are"),
    ("log", &[], "it writes lines"),
    ("main", &["app", "env", "log"], "it is a shell"),
    ("metrics", &[], "it counts what it is told"),
    ("orphans", &[], "it knows processes, and not whose they were"),
    (
        "outbound",
        &[
            "accept",
            "burden",
            "chance",
            "config",
            "error",
            "gate",
            "http",
            "metrics",
            "published",
            "record",
            "upstream",
            "users",
            "xds::demand",
        ],
        "it reads what is in force, and says whom the program calls",
    ),
    ("program", &[], "it is what is known, and decisions about it"),
    ("proto", &[], "it is generated"),
    ("published", &[], "it hands values to readers"),
    ("record", &["metrics"], "it says how a request ended, once"),
    ("registration", &["backoff", "chance", "link", "proto", "standing"], "it reports"),
    ("service_links", &[], "it knows names that Kubernetes gives"),
    ("shares", &[], "it counts"),
    ("signals", &[], "it hears signals"),
    ("sockets", &[], "it asks the system"),
    ("spiffe", &[], "it is a word that everybody uses"),
    ("standing", &[], "it remembers what the control plane thinks of us"),
    ("state_dir", &[], "it owns a directory"),
    ("terminal", &[], "it knows process groups, and nothing of what runs in them"),
    (
        "upstream",
        &["config", "error", "http", "identity", "ledger", "metrics", "published"],
        "it connects as a target demands, whoever asks",
    ),
    (
        "xds",
        &["backoff", "chance", "config", "durable", "link", "metrics", "proto", "published", "spiffe", "standing"],
        "it makes configurations; nobody's requests pass here",
    ),
    ("users", &["sockets"], "it is a decision about who is heard"),
    ("worker", &[], "it runs what it is given"),
    ("wall_clock", &[], "it waits, and does not know for what"),
];

/// Crates that stop at the folder that knows them, and the reason for that.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("hyper", &["http", "link"], "HTTP engines are replaced behind the seam; link is tonic's"),
    ("hyper_util", &["http", "link"], "as hyper"),
    ("h2", &["http"], "as hyper"),
    ("envoy_types", &["xds"], "wire types end where they are decoded"),
    (
        "tonic",
        &["identity", "link", "proto", "registration", "xds", "app"],
        "only who talks to the control plane speaks gRPC",
    ),
    (
        "rustls",
        &["identity", "link", "upstream"],
        "what peers prove is identity's business; the others make connections",
    ),
    (
        "tokio",
        &[
            "accept",
            "admin",
            "app",
            "burden",
            "calls",
            "child",
            "gate",
            "health",
            "http",
            "identity",
            "inbound",
            "ledger",
            "link",
            "listeners",
            "main",
            "orphans",
            "outbound",
            "published",
            "registration",
            "signals",
            "terminal",
            "upstream",
            "wall_clock",
            "worker",
            "xds",
        ],
        "decisions are pure: config, drain, env and error wait for nothing",
    ),
    ("prost", &["xds", "proto"], "wire types end where they are decoded"),
    ("x509_parser", &["identity"], "certificates are read in one place"),
];

#[test]
fn modules_use_only_what_they_may() {
    let mut faults = Vec::new();
    for (module, text, path) in sources() {
        let Some((_, allowed, reason)) = RULES.iter().find(|(name, ..)| *name == module) else {
            faults.push(format!("{module} is in no row of the table in {}", file!()));
            continue;
        };
        for used in uses(&text) {
            let first = used.split("::").next().unwrap_or_default().to_owned();
            let may = allowed.iter().any(|allowed| *allowed == "*" || *allowed == first || used.starts_with(allowed));
            if first != module && !may {
                faults.push(format!("{} uses {used}, and {module} must not: {reason}", path.display()));
            }
        }
        for (name, allowed, reason) in CRATES {
            if text.contains(&format!("{name}::")) && !word_before(&text, name) && !allowed.contains(&module.as_str()) {
                faults.push(format!("{} uses the crate {name}: {reason}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let modules: BTreeSet<String> = sources().into_iter().map(|(module, ..)| module).collect();
    for (name, ..) in RULES {
        assert!(modules.contains(*name), "there is no {name}");
    }
}

/// Whether every place that names the crate is part of a longer word, like `tokio_rustls::`.
fn word_before(text: &str, name: &str) -> bool {
    let pattern = format!("{name}::");
    text.match_indices(&pattern).all(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':')
    })
}

/// Every source file but tests, as (top module, text without comments, path).
fn sources() -> Vec<(String, String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap();
            let module = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
            if module == "lib" || path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            let code = code.collect::<Vec<_>>().join("\n").replace("sluice_proxy::", "crate::");
            found.push((module, code, path));
        }
    }
    found
}

/// What a file takes from other modules: `a::b` for each path below `crate`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        for path in paths(rest) {
            found.insert(path);
        }
    }
    found
}

/// The paths, two steps long, at the beginning of `rest`: of a plain path one, of a group in braces all.
fn paths(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![two_steps(rest)] };
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.into_iter().map(str::trim).filter(|member| !member.is_empty()).flat_map(expand).collect()
}

/// `xds::{demand::Demand, client::Client}` is two paths.
fn expand(member: &str) -> Vec<String> {
    match member.split_once("::{") {
        Some((module, inner)) if !module.contains("::") => inner
            .trim_end_matches('}')
            .split(',')
            .map(|part| two_steps(&format!("{module}::{}", part.trim())))
            .collect(),
        _ => vec![two_steps(member)],
    }
}

fn two_steps(path: &str) -> String {
    let word = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let path: String = path.chars().take_while(|&character| word(character)).collect();
    path.split("::").take(2).collect::<Vec<_>>().join("::")
}
