//! The same chain of others: `HAProxy`, nginx and Envoy, each twice, with mutual TLS between the two. One worker, TLS 1.3 with
//! AES-128-GCM, P-256, keep-alive, no access log.

use std::{fs, net::SocketAddr, path::Path, process::Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::support::eventually;

/// A chain of somebody else's, as it runs.
pub struct Peer {
    /// Where callers call.
    pub to: SocketAddr,
    /// Its processes.
    pub processes: Vec<Child>,
}

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `HAProxy`, with HTTP/1.1 between the two.
    HaproxyH1,
    /// `HAProxy`, with HTTP/2 between the two.
    HaproxyH2,
    /// nginx, which has no HTTP/2 to the next hop.
    Nginx,
    /// Envoy, with HTTP/2 between the two.
    Envoy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HaproxyH1, Self::HaproxyH2, Self::Nginx, Self::Envoy];

    /// What it is called in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HaproxyH1 => "HAProxy, HTTP/1.1 between",
            Self::HaproxyH2 => "HAProxy, HTTP/2 between",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
        }
    }

    /// Whether it carries calls of gRPC from end to end.
    pub const fn speaks_grpc(self) -> bool {
        matches!(self, Self::HaproxyH2 | Self::Envoy)
    }

    /// Starts it on processor `cpu`, before `program`. `None`: it is not installed.
    pub async fn start(self, cpu: &str, way: Way<'_>) -> Option<Peer> {
        let ports = [free().await, free().await];
        let way = Set { way, ports };
        let mut processes = Vec::new();
        for (name, arguments) in self.commands(&way) {
            let mut command = Command::new("taskset");
            command.args(["-c", cpu, &name]).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
            let log = fs::File::create(way.way.directory.join(format!("{}.log", processes.len()))).ok()?;
            command.stdout(Stdio::null()).stderr(log);
            processes.push(command.spawn().ok()?);
        }
        let to = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        for process in &mut processes {
            if process.try_wait().ok()?.is_some() {
                return None;
            }
        }
        eventually("a peer to listen", async || TcpStream::connect(to).await.ok()).await;
        Some(Peer { to, processes })
    }

    fn commands(self, way: &Set<'_>) -> Vec<(String, Vec<String>)> {
        match self {
            Self::HaproxyH1 | Self::HaproxyH2 => way.haproxy(self == Self::HaproxyH2),
            Self::Nginx => way.nginx(),
            Self::Envoy => way.envoy(),
        }
    }
}

/// What a chain is made of.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    /// Where its files are, what it proves itself with among them.
    pub directory: &'a Path,
    /// What it leads to.
    pub program: SocketAddr,
    /// Whether calls of gRPC come.
    pub grpc: bool,
    /// The program that Envoy is.
    pub envoy: &'a str,
}

/// A chain whose ports are chosen: where the first listens, and the second.
struct Set<'a> {
    way: Way<'a>,
    ports: [u16; 2],
}

impl Set<'_> {
    fn write(&self, name: &str, text: &str) -> String {
        let file = self.way.directory.join(name);
        fs::write(&file, text).expect("there is room");
        file.display().to_string()
    }

    fn file(&self, name: &str) -> String {
        self.way.directory.join(name).display().to_string()
    }

    fn haproxy(&self, http2: bool) -> Vec<(String, Vec<String>)> {
        let (pem, anchors) = (self.file("both.pem"), self.file("anchors.pem"));
        let [first, second] = self.ports;
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let plain = if self.way.grpc { " proto h2" } else { "" };
        let head = "global\n  nbthread 1\n  maxconn 20000\n  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n  \
            ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256\ndefaults\n  mode http\n  timeout client 300s\n  \
            timeout server 300s\n  timeout connect 5s\n  http-reuse always\n";
        let one = format!(
            "{head}frontend in\n  bind 127.0.0.1:{first}{plain}\n  default_backend out\nbackend out\n  server next \
             127.0.0.1:{second} ssl crt {pem} ca-file {anchors} verify required verifyhost cart.shop alpn {alpn} pool-max-conn -1\n"
        );
        let two = format!(
            "{head}frontend in\n  bind 127.0.0.1:{second} ssl crt {pem} ca-file {anchors} verify required alpn {alpn}\n  \
             default_backend out\nbackend out\n  server program {}{plain} pool-max-conn -1\n",
            self.way.program
        );
        let run = |file| ("haproxy".to_owned(), vec!["-db".to_owned(), "-f".to_owned(), file]);
        vec![run(self.write("one.cfg", &one)), run(self.write("two.cfg", &two))]
    }

    fn nginx(&self) -> Vec<(String, Vec<String>)> {
        let (chain, key, anchors) = (self.file("chain.pem"), self.file("key.pem"), self.file("anchors.pem"));
        let [first, second] = self.ports;
        let tls = "TLS_AES_128_GCM_SHA256";
        let file = |name: &str, server: &str, next: &str, to: &str| {
            let pid = self.file(&format!("{name}.pid"));
            let text = format!(
                "daemon off; worker_processes 1; pid {pid}; error_log stderr error; events {{ worker_connections 20000; }}\n\
                 http {{ access_log off; keepalive_requests 100000000;\n upstream next {{ server {to}; keepalive 256; \
                 keepalive_requests 100000000; }}\n server {{ {server}\n location / {{ proxy_pass {next}; proxy_http_version 1.1; \
                 proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }} }}\n"
            );
            self.write(&format!("{name}.conf"), &text)
        };
        let one = file(
            "one",
            &format!(
                "listen 127.0.0.1:{first}; proxy_ssl_certificate {chain}; proxy_ssl_certificate_key {key}; \
                 proxy_ssl_trusted_certificate {anchors}; proxy_ssl_verify on; proxy_ssl_name cart.shop; \
                 proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites {tls};"
            ),
            "https://next",
            &format!("127.0.0.1:{second}"),
        );
        let two = file(
            "two",
            &format!(
                "listen 127.0.0.1:{second} ssl; ssl_certificate {chain}; ssl_certificate_key {key}; \
                 ssl_client_certificate {anchors}; ssl_verify_client on; ssl_protocols TLSv1.3; \
                 ssl_conf_command Ciphersuites {tls};"
            ),
            "http://next",
            &self.way.program.to_string(),
        );
        [one, two].map(|file| ("nginx".to_owned(), vec!["-c".to_owned(), file])).into()
    }

    fn envoy(&self) -> Vec<(String, Vec<String>)> {
        let [first, second] = self.ports;
        let common = serde_json::json!({
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_3" },
            "tls_certificates": [{ "certificate_chain": { "filename": self.file("chain.pem") },
                                   "private_key": { "filename": self.file("key.pem") } }],
            "validation_context": { "trusted_ca": { "filename": self.file("anchors.pem") } },
            "alpn_protocols": ["h2"],
        });
        let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
        let config = |port: u16, to: SocketAddr, from_peer: bool, to_peer: bool| {
            let mut chain = serde_json::json!({ "filters": [{
                "name": "http",
                "typed_config": {
                    "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "in", "generate_request_id": false,
                    "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                        { "match": { "prefix": "/" }, "route": { "cluster": "next", "timeout": "0s" } }] }] },
                    "http_filters": [{ "name": "router", "typed_config": { "@type": kind("filters.http.router.v3.Router") } }],
                } }] });
            let tls = |name: &str, extra: serde_json::Value| {
                let mut config = serde_json::json!({ "@type": kind(name), "common_tls_context": common });
                config.as_object_mut().expect("it is one").extend(extra.as_object().expect("it is one").clone());
                serde_json::json!({ "name": "tls", "typed_config": config })
            };
            let required = serde_json::json!({ "require_client_certificate": true });
            if from_peer {
                chain["transport_socket"] = tls("transport_sockets.tls.v3.DownstreamTlsContext", required);
            }
            let limits = serde_json::json!({ "thresholds": [{ "max_connections": 100_000, "max_pending_requests": 100_000,
                "max_requests": 100_000, "max_retries": 1_000 }] });
            let mut cluster = serde_json::json!({ "name": "next", "type": "STATIC", "connect_timeout": "5s",
                "circuit_breakers": limits,
                "load_assignment": { "cluster_name": "next", "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                    "socket_address": { "address": "127.0.0.1", "port_value": to.port() } } } }] }] } });
            if to_peer || self.way.grpc {
                cluster["typed_extension_protocol_options"] = serde_json::json!({
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": kind("upstreams.http.v3.HttpProtocolOptions"),
                        "explicit_http_config": { "http2_protocol_options": {} } } });
            }
            if to_peer {
                let name = serde_json::json!({ "sni": "cart.shop" });
                cluster["transport_socket"] = tls("transport_sockets.tls.v3.UpstreamTlsContext", name);
            }
            serde_json::json!({ "static_resources": { "listeners": [{ "name": "in",
                "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
                "filter_chains": [chain] }], "clusters": [cluster] } })
        };
        let next = SocketAddr::from(([127, 0, 0, 1], second));
        let files = [
            self.write("one.json", &config(first, next, false, true).to_string()),
            self.write("two.json", &config(second, self.way.program, true, false).to_string()),
        ];
        let words = |file: String, id: &str| {
            let words = ["-c", &file, "--concurrency", "1", "--base-id", id, "-l", "error"];
            (self.way.envoy.to_owned(), words.map(str::to_owned).into())
        };
        let [one, two] = files;
        vec![words(one, "71"), words(two, "72")]
    }
}

async fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
    listener.local_addr().expect("it has one").port()
}

/// Writes what they prove themselves with: an anchor, and one leaf for both.
pub fn write_identity(directory: &Path) {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let anchor_key = KeyPair::generate().expect("there is chance");
    let anchor = parameters.self_signed(&anchor_key).expect("it is sound");
    let issuer = Issuer::new(parameters, anchor_key);
    let key = KeyPair::generate().expect("there is chance");
    let leaf = CertificateParams::new(vec!["cart.shop".to_owned()]).expect("it is a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("it is sound").pem();
    let key = key.serialize_pem();
    for (name, text) in [("anchors.pem", &anchor.pem()), ("chain.pem", &leaf), ("key.pem", &key)] {
        fs::write(directory.join(name), text).expect("there is room");
    }
    fs::write(directory.join("both.pem"), leaf + &key).expect("there is room");
}
