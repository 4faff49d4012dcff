//! HTTP/2 as h2spec reads it (<https://github.com/summerwind/h2spec>), against both listeners. `make h2spec` runs it; it
//! needs that program, which is written in Go.

use std::{net::SocketAddr, process::Stdio};

use http::Response;
use http_body_util::BodyExt;
use tokio::process::Command;

use crate::support::{
    http::{full, program},
    mesh::{CART, Mesh, to_cart},
    resources::{Door, anyone, anything, policy, routes, service},
    soon,
};

/// What h2spec finds, each with the reason why it is so. An entry that does not fail any more has to go.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "http2/3.5 Sends invalid connection preface",
    "the port speaks HTTP/1.1 as well: what is no preface of HTTP/2 is read as that, and answered with its 400",
)];

/// How many cases there are. Fewer, and something was not tried.
const CASES: usize = 145;

/// A program that answers when it has read what it was sent. One that answers at once would race with the rest of a request:
/// a stream that has been answered is over, and what is wrong with it after that is rightly of no interest.
async fn thorough() -> SocketAddr {
    program(|request| async move {
        let body = request.into_body().collect().await;
        let length = body.map_or(0, |body| body.to_bytes().len());
        Response::new(full(format!("{length} bytes, all of them")))
    })
    .await
}

/// The cases that fail: section and sentence.
async fn failures(address: SocketAddr) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.xml");
    let mut h2spec = Command::new("h2spec");
    h2spec.args(["--host", "localhost", "--port", &address.port().to_string(), "--timeout", "5", "--junit-report"]);
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
    let door = Door { plaintext: true, normalised: true, allow, ..Door::default() };
    let mesh = Mesh::new(thorough().await, door).await;
    let known: Vec<&str> = EXCEPTIONS.iter().map(|(case, _)| *case).collect();
    // What h2spec calls by the name of this machine is a service of that name.
    let name = format!("localhost.shop:{}", mesh.web.outbound.port());
    let mut resources = to_cart(&[mesh.cart.inbound]);
    resources.extend([service(&name), routes(&name, &[(CART, 1)])]);
    mesh.web.swap(&resources);
    for address in [mesh.cart.inbound, mesh.web.outbound] {
        assert_eq!(failures(address).await, known);
    }
}
