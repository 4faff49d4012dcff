//! Bytes of programs that are not ours, through two sidecars: `psql` and its server, Redis, and TLS that OpenSSL speaks at both ends.
//! What a machine has not is left out there, and said.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, Command},
};

use crate::support::{
    eventually,
    mesh::{Sidecar, to_db},
    pki::Pki,
    resources::Door,
    soon,
};

/// A program, in whatever place systems have it.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let places = versions.map(|version| version.path().join("bin")).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    let found = places.map(|place| place.join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("there is no {name} here: left out");
    }
    found
}

/// A command that root runs as somebody else: `postgres` does not run as root.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/").env("LC_ALL", "C");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

const NOBODY: u32 = 65_534;

async fn output(command: &mut Command) -> String {
    let output = soon("its end", command.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn free_place() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The two sidecars before and behind whoever listens at `place`: where it is reached through both.
async fn through_two(place: SocketAddr) -> (Sidecar, Sidecar) {
    let pki = Pki::new();
    let db = Sidecar::start(pki.credentials("shop/db"), place, &[Door::to_members().bytes_made("shop/db")]).await;
    let web = Sidecar::start(pki.credentials("shop/web"), place, &to_db(&[db.inbound])).await;
    (db, web)
}

async fn listens(place: SocketAddr) {
    eventually("a listener", async || TcpStream::connect(place).await.ok().map(drop)).await;
}

fn end(child: &Child) {
    let _ = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).map(|pid| kill_process(pid, Signal::INT));
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_speaks_with_a_real_postgresql() {
    let (Some(initdb), Some(postgres), Some(psql)) = (program("initdb"), program("postgres"), program("psql")) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    if geteuid().is_root() {
        std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let at = data.to_str().unwrap();
    output(command(&initdb).args(["-D", at, "-A", "trust", "-U", "shop", "--no-sync"])).await;
    let place = free_place().await;
    let port = place.port().to_string();
    let sockets = directory.path().to_str().unwrap();
    let mut server =
        command(&postgres).args(["-D", at, "-p", &port, "-h", "127.0.0.1", "-k", sockets, "-F"]).spawn().unwrap();
    listens(place).await;
    let (_db, web) = through_two(place).await;
    let port = web.forwarded.port().to_string();
    let ask = async |sql: &str| {
        let mut psql = command(&psql);
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "shop",
            "-d",
            "postgres",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        output(&mut psql).await
    };
    // It may take connections before it answers.
    let ready = async || {
        let mut psql = command(&psql);
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "shop", "-d", "postgres", "-c", "select 1"]);
        psql.output().await.unwrap().status.success().then_some(())
    };
    eventually("an answer", ready).await;
    ask("create table cart as select n, repeat('x', 1000) as what from generate_series(1, 20000) n").await;
    assert_eq!(ask("select count(*), sum(length(what)) from cart").await, "20000|20000000\n");
    let all = ask("select what from cart").await;
    assert_eq!((all.len(), all.lines().all(|line| line.len() == 1000)), (20_000 * 1001, true));
    end(&server);
    soon("its end", server.wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_spoken_with() {
    let (Some(server), Some(cli)) = (program("redis-server"), program("redis-cli")) else { return };
    let place = free_place().await;
    let port = place.port().to_string();
    let mut redis =
        command(&server).args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"]).spawn().unwrap();
    listens(place).await;
    let (_db, web) = through_two(place).await;
    let port = web.forwarded.port().to_string();
    let ask = async |words: &[&str]| output(command(&cli).args(["-p", &port]).args(words)).await;
    assert_eq!(ask(&["set", "cart", "7"]).await, "OK\n");
    assert_eq!(ask(&["get", "cart"]).await, "7\n");
    assert_eq!(ask(&["-r", "500", "incr", "cart"]).await.lines().last(), Some("507"));
    end(&redis);
    soon("its end", redis.wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_of_the_programs_passes_as_it_is() {
    let Some(openssl) = program("openssl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| directory.path().join(name));
    let [key, certificate] = [key.to_str().unwrap(), certificate.to_str().unwrap()];
    let openssl = || {
        let mut command = Command::new(&openssl);
        command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=vault.shop", "-days", "1"];
    output(openssl().args(made).args([
        "-addext",
        "subjectAltName=DNS:vault.shop",
        "-keyout",
        key,
        "-out",
        certificate,
    ]))
    .await;
    let place = free_place().await;
    let accept = place.port().to_string();
    let serve = ["s_server", "-accept", &accept, "-key", key, "-cert", certificate, "-rev", "-quiet", "-naccept", "9"];
    let _server = openssl().args(serve).spawn().unwrap();
    listens(place).await;
    let (_db, web) = through_two(place).await;
    let connect = web.forwarded.to_string();
    let ask = ["s_client", "-connect", &connect, "-servername", "vault.shop", "-CAfile", certificate];
    let mut client =
        openssl().args(ask).args(["-verify_return_error", "-verify_hostname", "vault.shop", "-quiet"]).spawn().unwrap();
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    let mut stdout = tokio::io::BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    soon("an answer", tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line)).await.unwrap();
    assert_eq!(line, "olleh\n", "what the server makes of it, who proved to be vault.shop itself");
}
