//! Who may use whom, and why. The table is the architecture: a new row, or a new word in one, is a decision.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A wing, or a part of one that has a wall of its own; what it may use of other wings, whole or in part; and the reason.
const RULES: &[(&str, &[&str], &str)] = &[
    (
        "admin",
        &[
            "base",
            "config",
            "control::standing",
            "control::xds",
            "host::program",
            "host::users",
            "http",
            "identity",
            "message",
            "net",
            "telemetry::metrics",
        ],
        "it shows everything and changes nothing",
    ),
    ("app", &["*"], "it puts the parts together"),
    (
        "app/env",
        &["config::authority", "control::xds", "host::program", "host::service_links", "host::users"],
        "it reads settings; the limits of decoding and names of services are some of them",
    ),
    ("base", &[], "these are words and tools that everybody uses"),
    (
        "config",
        &["base::spiffe", "message::edits", "message::head", "message::reason"],
        "it is the evaluator: pure, without I/O, clock, locks or wire types; it sees heads, and says what becomes of them",
    ),
    (
        "control",
        &["base", "host::durable", "identity::verify", "telemetry::metrics"],
        "it speaks with the control plane; what that means is for others, and nobody's requests pass here",
    ),
    (
        "control/health",
        &["base::published", "host::calls", "host::program", "host::sockets"],
        "it asks the program how it is",
    ),
    ("control/xds", &["base", "config", "host::durable", "telemetry::metrics"], "it alone makes configurations"),
    (
        "exchange",
        &["base", "config", "message", "telemetry::record"],
        "it is the one machine that acts, whichever door a request came by; it outlives the engines that read and write it",
    ),
    ("exchange/burden", &["base", "message"], "it weighs what is on its way, and does not know where that goes"),
    (
        "exchange/upstream",
        &["base", "config::cluster", "http", "identity", "message", "net::vanish", "telemetry::metrics"],
        "it has the connections to others, which an engine serves, and knows nothing of why anything is sent on them",
    ),
    ("host", &[], "it knows the machine: no mesh, no network"),
    (
        "http",
        &["base::gate", "base::ledger", "message"],
        "it is the engine behind a seam: it knows neither policy nor mesh, so that it can be replaced",
    ),
    (
        "identity",
        &["base", "control::link", "control::proto", "host::durable", "telemetry::metrics"],
        "who we are does not depend on what we do",
    ),
    (
        "inbound",
        &[
            "base",
            "config",
            "exchange",
            "host::calls",
            "host::program",
            "http",
            "identity",
            "message",
            "net",
            "tcp",
            "telemetry::connection",
            "telemetry::metrics",
            "telemetry::record",
        ],
        "it reads what is in force; it never hears the control plane",
    ),
    ("main", &["app", "telemetry::log"], "it is a shell"),
    (
        "message",
        &["base::ledger", "base::spiffe", "config"],
        "it is what messages are, and what is said in answers: it knows no engine",
    ),
    ("net", &["base::gate"], "it takes connections and does not know for whom"),
    (
        "outbound",
        &[
            "base",
            "config",
            "control::xds::demand",
            "exchange",
            "host::users",
            "http",
            "identity",
            "message",
            "net",
            "tcp",
            "telemetry::connection",
            "telemetry::metrics",
            "telemetry::record",
        ],
        "it reads what is in force, and says whom the program calls",
    ),
    (
        "tcp",
        &["base", "config::cluster", "exchange::upstream", "identity", "message", "net", "telemetry::connection"],
        "it carries bytes: it knows neither services nor policies, and no engine",
    ),
    ("telemetry", &[], "it counts what it is told"),
];

/// Crates that stop at the wing, or the part of one, that knows them, and the reason for that.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("hyper", &["http", "control/link"], "HTTP engines are replaced behind the seam; link is tonic's"),
    ("hyper_util", &["http", "control/link"], "as hyper"),
    ("h2", &["http"], "as hyper"),
    ("envoy_types", &["control/xds"], "wire types end where they are decoded"),
    ("tonic", &["control", "identity", "app"], "only who talks to the control plane speaks gRPC"),
    (
        "rustls",
        &["control/link", "exchange/upstream", "identity"],
        "what peers prove is identity's business; the others make connections",
    ),
    (
        "tokio",
        &[
            "admin",
            "app",
            "base",
            "control",
            "exchange",
            "host/calls",
            "host/child",
            "host/orphans",
            "host/terminal",
            "http",
            "identity",
            "inbound",
            "main",
            "message/activity",
            "message/upgrade",
            "net",
            "outbound",
            "tcp",
        ],
        "decisions are pure: what is in force, what it means and what is said of it wait for nothing",
    ),
    ("prost", &["control/xds", "control/proto"], "wire types end where they are decoded"),
    ("x509_parser", &["identity"], "certificates are read in one place"),
];

#[test]
fn modules_use_only_what_they_may() {
    let mut faults = Vec::new();
    for (wing, part, text, path) in sources() {
        let row = |name: &str| RULES.iter().find(|(known, ..)| *known == name);
        let Some((name, allowed, reason)) = row(&part).or_else(|| row(&wing)) else {
            faults.push(format!("{wing} is in no row of the table in {}", file!()));
            continue;
        };
        for used in uses(&text) {
            let within = |allowed: &&str| used == **allowed || used.starts_with(&format!("{allowed}::"));
            let may = allowed.contains(&"*") || within(&wing.as_str()) || allowed.iter().any(within);
            if !may {
                faults.push(format!("{} uses {used}, and {name} must not: {reason}", path.display()));
            }
        }
        for (name, allowed, reason) in CRATES {
            let may = allowed.iter().any(|allowed| *allowed == wing || *allowed == part);
            if text.contains(&format!("{name}::")) && !word_before(&text, name) && !may {
                faults.push(format!("{} uses the crate {name}: {reason}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let modules: BTreeSet<String> = sources().into_iter().flat_map(|(wing, part, ..)| [wing, part]).collect();
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

/// Every source file but tests, as (wing, part of it, text without comments, path).
fn sources() -> Vec<(String, String, String, PathBuf)> {
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
            let mut steps = inside.components().map(|step| step.as_os_str().to_string_lossy().replace(".rs", ""));
            let wing = steps.next().unwrap();
            let part = steps.next().map_or_else(|| wing.clone(), |part| format!("{wing}/{part}"));
            if wing == "lib" || path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            let code = code.collect::<Vec<_>>().join("\n").replace("sluice_proxy::", "crate::");
            found.push((wing, part, code, path));
        }
    }
    found
}

/// What a file takes from other modules, as paths below `crate`.
fn uses(code: &str) -> BTreeSet<String> {
    code.match_indices("crate::").flat_map(|(at, found)| paths(&code[at + found.len()..])).collect()
}

/// The paths at the beginning of `rest`: of a plain path one, of a group in braces all.
fn paths(rest: &str) -> Vec<String> {
    let word = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let end = rest.find(|character| !word(character)).unwrap_or(rest.len());
    let (path, rest) = rest.split_at(end);
    let Some(group) = path.is_empty().then_some(rest).or(path.ends_with("::").then_some(rest)) else {
        return vec![path.to_owned()];
    };
    let Some(group) = group.strip_prefix('{') else { return vec![path.to_owned()] };
    members(group).into_iter().flat_map(paths).map(|member| format!("{path}{member}")).collect()
}

/// The members of a group that has begun.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

#[test]
fn groups_are_read_to_their_ends() {
    let code = "use crate::{base::{gate::Gate, ledger::{Account, Held}}, http};\nuse crate::config::Config;";
    let expected = ["base::gate::Gate", "base::ledger::Account", "base::ledger::Held", "config::Config", "http"]
        .map(str::to_owned);
    assert_eq!(uses(code), BTreeSet::from(expected));
}
