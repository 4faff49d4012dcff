//! Sidecars in this process, with configurations put into their hands: no control plane.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Version;
use sluice_proxy::{
    base::{chance, gate::Gate, published::Published},
    config::{Answer, Config, Snapshot},
    control::xds::{
        decode::{Decoded, Limits, decode},
        demand::Demand,
    },
    exchange::{
        Exchange,
        burden::{Burden, Owner},
        upstream::{self, Upstream},
    },
    host::{calls::Calls, program::Program, users::Users},
    http::ServerSettings,
    identity::credentials::Credentials,
    inbound::{Inbound, callers::Callers},
    outbound::Outbound,
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpListener, sync::watch};

use super::{
    bytes::{bytes_cluster, bytes_service},
    http::Client,
    pki::{Pki, id},
    resources::{Door, Made, Speaks, cluster, endpoints, routes, service},
};

/// A configuration of these resources, decoded as if they had come over the wire.
pub fn config(resources: &[Made]) -> Config {
    let mut config = Config::default();
    for Made { kind, resource } in resources {
        let name: Arc<str> = resource.name.as_str().into();
        let any = resource.resource.as_ref().unwrap();
        let decoded = decode(*kind, &name, any, &Limits::default());
        match decoded.unwrap_or_else(|fault| panic!("{name}: {fault}")) {
            Decoded::Inbound(door) => config.inbound = vec![Some(door)],
            Decoded::Service(service) => drop(config.services.insert(name, Answer::Held(service))),
            Decoded::Routes(table) => drop(config.routes.insert(name, Answer::Held(table))),
            Decoded::Cluster(cluster) => drop(config.clusters.insert(name, Answer::Held(cluster))),
            Decoded::Endpoints(endpoints) => drop(config.endpoints.insert(name, Answer::Held(endpoints))),
        }
    }
    config
}

fn snapshot(config: Config, before: &Snapshot) -> Snapshot {
    Snapshot::of(Arc::new(config), before, chance::bits)
}

/// Bounds of a sidecar that tests may want otherwise.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub settings: ServerSettings,
    pub connections: usize,
    pub requests: usize,
    pub memory: u64,
    pub patience: Duration,
    pub upstream: upstream::Settings,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            settings: ServerSettings::default(),
            connections: 1000,
            requests: 1000,
            memory: u64::MAX,
            patience: Duration::from_millis(200),
            upstream: upstream::Settings::default(),
        }
    }
}

/// A sidecar in this process.
pub struct Sidecar {
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
    /// Leads to [`DB`] alone.
    pub forwarded: SocketAddr,
    pub config: Arc<Published<Snapshot>>,
    pub identity: Arc<Published<Credentials>>,
    pub metrics: Arc<Metrics>,
    pub demand: Arc<Demand>,
    pub draining: watch::Sender<bool>,
    pub in_flight: Gate,
    pub calls: Calls,
    /// Nobody gives anything up, unless a test has it do so.
    pub burden: Arc<Burden>,
}

impl Sidecar {
    pub async fn start(credentials: Credentials, program: SocketAddr, resources: &[Made]) -> Self {
        Self::bounded(credentials, program, resources, Bounds::default()).await
    }

    pub async fn bounded(credentials: Credentials, program: SocketAddr, resources: &[Made], bounds: Bounds) -> Self {
        let workload = credentials.workload();
        let namespace = credentials.material.namespace.clone();
        let identity = Arc::new(Published::new(credentials));
        let (metrics, demand) = (Arc::new(Metrics::default()), Arc::new(Demand::default()));
        let config = Arc::new(Published::new(snapshot(config(resources), &Snapshot::default())));
        let burden = Arc::new(Burden::new(bounds.memory, bounds.requests));
        let (ledger, carried) = (burden.ledger().clone(), burden.clone());
        let upstream = Arc::new(Upstream::new(identity.clone(), metrics.clone(), ledger, bounds.upstream));
        let exchange = Arc::new(Exchange::new(upstream, burden));
        let draining = watch::Sender::new(false);
        let in_flight = Gate::new(bounds.requests);
        let calls = Calls::default();
        let inbound = Inbound {
            config: config.clone(),
            identity: identity.clone(),
            exchange: exchange.clone(),
            place: 0,
            port: program.port(),
            program: Arc::new(Published::new(Program {
                address: program,
                fault: None,
                refused: false,
                open_at: Vec::new(),
            })),
            workload: workload.into(),
            metrics: metrics.clone(),
            settings: bounds.settings,
            in_flight: in_flight.clone(),
            calls: calls.clone(),
            callers: Callers::new(bounds.connections),
            draining: draining.subscribe(),
            rules_of: AtomicUsize::new(0),
        };
        let outbound = Outbound {
            config: config.clone(),
            demand: demand.clone(),
            exchange,
            identity: identity.clone(),
            namespace: namespace.into(),
            metrics: metrics.clone(),
            settings: bounds.settings,
            patience: bounds.patience,
            portion: carried.portion(Owner::Program),
            users: Users::any(),
            in_flight: Gate::new(bounds.requests),
            connections: Gate::new(1000),
            draining: draining.subscribe(),
            told: AtomicBool::new(false),
        };
        let listen = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let (inbound_listener, inbound_address) = listen().await;
        let (outbound_listener, outbound_address) = listen().await;
        let (forward_listener, forwarded) = listen().await;
        tokio::spawn(Arc::new(inbound).run(inbound_listener));
        let outbound = Arc::new(outbound);
        tokio::spawn(outbound.clone().forward(forward_listener, DB.into()));
        tokio::spawn(outbound.run(outbound_listener));
        Self {
            inbound: inbound_address,
            outbound: outbound_address,
            forwarded,
            config,
            identity,
            metrics,
            demand,
            draining,
            in_flight,
            calls,
            burden: carried,
        }
    }

    /// The value of a time series, by the text of its name and labels.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.print().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        line.unwrap_or(0)
    }

    /// Whether anybody has called the service `authority`, of which something was told.
    pub fn is_called(&self, authority: &str) -> bool {
        let config = self.config.now();
        let Some(Answer::Held(service)) = config.service(authority) else { return false };
        service.last_called().load(Ordering::Relaxed) > 0
    }

    pub fn put_in_force(&self, config: Config) {
        self.config.swap(Arc::new(snapshot(config, &self.config.now())));
    }

    pub fn swap(&self, resources: &[Made]) {
        self.put_in_force(config(resources));
    }
}

/// The service of these tests.
pub const CART: &str = "cart.shop:80";

/// The service of bytes of these tests.
pub const DB: &str = "db.shop:5432";

/// What a caller must know to reach `db`, all of whose connections go to these endpoints.
pub fn to_db(addresses: &[SocketAddr]) -> Vec<Made> {
    vec![bytes_service(DB, &[(DB, 1)]), bytes_cluster(DB, Speaks::Tls(&[id("shop/db")])), endpoints(DB, addresses)]
}

/// What a caller must know to call `cart`, all of whose calls go to these endpoints.
pub fn to_cart(addresses: &[SocketAddr]) -> Vec<Made> {
    vec![
        service(CART),
        routes(CART, &[(CART, 1)]),
        cluster(CART, Speaks::Tls(&[id("shop/cart")])),
        endpoints(CART, addresses),
    ]
}

/// `cart` with a door that is open to members, and `web`, which calls it.
pub struct Mesh {
    pub pki: Pki,
    pub cart: Sidecar,
    pub web: Sidecar,
}

impl Mesh {
    pub async fn new(program: SocketAddr, door: Door) -> Self {
        let pki = Pki::new();
        let cart = Sidecar::start(pki.credentials("shop/cart"), program, &[door.made("shop/cart")]).await;
        let web = Sidecar::start(pki.credentials("shop/web"), program, &to_cart(&[cart.inbound])).await;
        Self { pki, cart, web }
    }

    pub async fn caller(&self, version: Version) -> Client {
        Client::plain(self.web.outbound, version).await
    }
}
