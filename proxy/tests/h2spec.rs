//! HTTP/2 as h2spec reads it (<https://github.com/summerwind/h2spec>), against both listeners. `make h2spec` runs it; it
//! needs that program, which is written in Go.

use std::{net::SocketAddr, process::Stdio};

use tokio::process::Command;

use crate::support::{
    http::named,
    mesh::Mesh,
    resources::{Door, anyone, anything, policy},
    soon,
};

/// What h2spec finds, each with the reason why it is so. An entry that does not fail any more has to go.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "http2/3.5 Sends invalid connection preface",
    "the port speaks HTTP/1.1 as well: what is no preface of HTTP/2 is read as that, and answered with its 400",
)];

/// How many cases there are. Fewer, and something was not tried.
const CASES: usize = 145;

/// The cases that fail: section and sentence.
async fn failures(address: SocketAddr) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.xml");
    let mut h2spec = Command::new("h2spec");
    h2spec.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--timeout", "5", "--junit-report"]);
    let run = h2spec.arg(&report).stdout(Stdio::null()).status();
    soon("h2spec", run).await.expect("h2spec: `make h2spec` installs it");
    let report = std::fs::read_to_string(report).unwrap();
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    assert_eq!(cases.len(), CASES, "{report}");
    let attribute = |case: &str, name: &str| {
        let (_, rest) = case.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let failed = cases.iter().filter(|case| case.contains("<error") || case.contains("<failure"));
    failed.map(|case| format!("{} {}", attribute(case, "package"), attribute(case, "classname"))).collect()
}

#[tokio::test]
#[ignore = "needs h2spec: make h2spec"]
async fn both_listeners_speak_http2_as_it_is_written() {
    let allow = vec![("shop/p/0".into(), policy(anyone(), anything()))];
    let mesh =
        Mesh::new(named("cart").await, Door { plaintext: true, normalised: true, allow, ..Door::default() }).await;
    let known: Vec<&str> = EXCEPTIONS.iter().map(|(case, _)| *case).collect();
    for address in [mesh.cart.inbound, mesh.web.outbound] {
        assert_eq!(failures(address).await, known);
    }
}
