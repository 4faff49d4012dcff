//! A control plane: Enrolment on one port, ADS, Renewal and Registration on another. Streams are handed to the test, or
//! served from a snapshot.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use sluice_proxy::{
    control::{
        proto::{
            Certificate, Health, JoinRequest, JoinResponse, LeaveRequest, LeaveResponse, RenewRequest, RenewResponse,
            ReportRequest, ReportResponse,
            enrolment_server::{Enrolment, EnrolmentServer},
            registration_server::{Registration, RegistrationServer},
            renewal_server::{Renewal, RenewalServer},
        },
        xds::kind::Kind,
    },
    identity::credentials::{Credentials, HTTP_2},
};
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, service::Routes, transport::Server};

use super::{
    eventually,
    pki::{Leaf, Pki, id},
    resources::Made,
    soon,
};

/// The one token that is good, any number of times.
pub const TOKEN: &str = "good-token";

/// What the control plane was told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub joined: usize,
    /// The signing requests that came with good tokens.
    pub signing: Vec<Vec<u8>>,
    pub renewed: usize,
    pub reports: Vec<ReportRequest>,
    pub left: Vec<LeaveRequest>,
}

impl Told {
    pub fn healths(&self) -> Vec<Health> {
        self.reports.iter().map(ReportRequest::health).collect()
    }
}

/// A control plane. It ends when it is dropped.
pub struct ControlPlane {
    pub join: SocketAddr,
    pub members: SocketAddr,
    streams: tokio::sync::Mutex<mpsc::Receiver<AdsStream>>,
    told: Arc<Mutex<Told>>,
    /// Whether it has evicted everybody.
    pub evicted: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

/// One delta stream, as the control plane sees it.
pub struct AdsStream {
    requests: Streaming<DeltaDiscoveryRequest>,
    responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
    evicted: watch::Receiver<bool>,
    nonce: u64,
}

/// How a control plane is to be.
pub struct How {
    /// Who it proves to be.
    pub account: &'static str,
    /// Whom newcomers become: `namespace/name`.
    pub workload: &'static str,
    /// How old leaves are when they are issued, and how long they then last.
    pub leaf: (Duration, Duration),
    /// How many of its first answers to those who join get lost.
    pub loses: usize,
    /// Where it listens.
    pub ports: [SocketAddr; 2],
}

impl Default for How {
    fn default() -> Self {
        Self {
            account: "sluice/control-plane",
            workload: "shop/cart",
            leaf: (Duration::from_mins(1), Duration::from_hours(24)),
            loses: 0,
            ports: ["127.0.0.1:0".parse().unwrap(); 2],
        }
    }
}

impl ControlPlane {
    pub async fn start(pki: &Arc<Pki>) -> Self {
        Self::start_as(pki, How::default()).await
    }

    pub async fn start_as(pki: &Arc<Pki>, how: How) -> Self {
        let material = pki.material("sluice/control-plane", &Leaf::of(how.account));
        let members_tls = Credentials::new(material.clone()).unwrap().server.clone();
        let chain = material.chain.into_iter().map(CertificateDer::from).collect();
        let mut join_tls = ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(material.key).into())
            .unwrap();
        join_tls.alpn_protocols = vec![HTTP_2.to_vec()];
        let (streams_in, streams) = mpsc::channel(16);
        let told = Arc::new(Mutex::new(Told::default()));
        let evicted = watch::Sender::new(false);
        let service = Service {
            pki: pki.clone(),
            how: Arc::new(how),
            told: told.clone(),
            evicted: evicted.subscribe(),
            streams: streams_in,
        };
        let mut tasks = JoinSet::new();
        let join_routes = Routes::new(EnrolmentServer::new(service.clone()));
        let [join_port, members_port] = service.how.ports;
        let join = listen(&mut tasks, join_port, Arc::new(join_tls), join_routes).await;
        let routes = Routes::new(AggregatedDiscoveryServiceServer::new(service.clone()))
            .add_service(RenewalServer::new(service.clone()))
            .add_service(RegistrationServer::new(service));
        let members = listen(&mut tasks, members_port, members_tls, routes).await;
        Self { join, members, streams: streams.into(), told, evicted, _tasks: tasks }
    }

    pub fn ports(&self) -> [SocketAddr; 2] {
        [self.join, self.members]
    }

    pub fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// The next stream that a sidecar opens.
    pub async fn stream(&self) -> AdsStream {
        soon("a stream", async { self.streams.lock().await.recv().await.unwrap() }).await
    }

    /// Serves streams from `snapshot`, whatever it is at the time.
    pub async fn serve(&self, snapshot: watch::Receiver<Vec<Made>>) {
        let mut serving = JoinSet::new();
        let mut streams = self.streams.lock().await;
        while let Some(stream) = streams.recv().await {
            serving.spawn(stream.serve(snapshot.clone()));
        }
    }
}

async fn listen(tasks: &mut JoinSet<()>, port: SocketAddr, tls: Arc<ServerConfig>, routes: Routes) -> SocketAddr {
    // Who listened there before may take a moment to go.
    let listener = eventually("the port", async || TcpListener::bind(port).await.ok()).await;
    let address = listener.local_addr().unwrap();
    let (connections, incoming) = mpsc::channel::<std::io::Result<DuplexStream>>(16);
    tasks.spawn(async move {
        let _ = Server::builder().add_routes(routes).serve_with_incoming(ReceiverStream::new(incoming)).await;
    });
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.spawn(carry(stream, TlsAcceptor::from(tls.clone()), connections.clone()));
        }
    });
    address
}

/// Carries the bytes between a TLS connection and the server, which so knows nothing of TLS.
async fn carry(stream: TcpStream, tls: TlsAcceptor, connections: mpsc::Sender<std::io::Result<DuplexStream>>) {
    let Ok(mut outer) = tls.accept(stream).await else { return };
    let (mut inner, server) = tokio::io::duplex(64 << 10);
    if connections.send(Ok(server)).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
    }
}

impl AdsStream {
    /// What the sidecar says next.
    pub async fn request(&mut self) -> DeltaDiscoveryRequest {
        soon("a request", self.requests.message()).await.unwrap().expect("the stream ended")
    }

    /// What it says first: one request of each kind.
    pub async fn opening(&mut self) -> [DeltaDiscoveryRequest; 4] {
        [self.request().await, self.request().await, self.request().await, self.request().await]
    }

    /// Says that these exist, and those do not. Gives the nonce.
    pub async fn send(&mut self, kind: Kind, made: &[&Made], removed: &[&str]) -> String {
        self.nonce += 1;
        let response = DeltaDiscoveryResponse {
            type_url: kind.type_url().into(),
            nonce: self.nonce.to_string(),
            resources: made.iter().map(|made| made.resource.clone()).collect(),
            removed_resources: removed.iter().map(ToString::to_string).collect(),
            ..DeltaDiscoveryResponse::default()
        };
        self.responses.send(Ok(response)).await.unwrap();
        self.nonce.to_string()
    }

    /// Says that these exist, and waits for the ACK.
    pub async fn teach(&mut self, kind: Kind, made: &[&Made], removed: &[&str]) {
        let nonce = self.send(kind, made, removed).await;
        let (ack, _) = self.answer().await;
        assert_eq!((ack.response_nonce.as_str(), &ack.error_detail), (nonce.as_str(), &None), "{ack:?}");
    }

    /// The next answer to a response, and what was asked for before it came.
    pub async fn answer(&mut self) -> (DeltaDiscoveryRequest, Vec<DeltaDiscoveryRequest>) {
        let mut before = Vec::new();
        loop {
            let request = self.request().await;
            if !request.response_nonce.is_empty() {
                return (request, before);
            }
            before.push(request);
        }
    }

    /// Answers every wish from `snapshot`, and sends what changes in it.
    async fn serve(mut self, mut snapshot: watch::Receiver<Vec<Made>>) {
        let mut wanted: BTreeSet<(Kind, String)> = BTreeSet::new();
        let mut known: BTreeSet<(Kind, String, String)> = BTreeSet::new();
        let find = |all: &[Made], kind: Kind, name: &str| {
            all.iter().find(|made| made.kind == kind && made.name() == name).cloned()
        };
        loop {
            let mut due: Vec<(Kind, String)> = Vec::new();
            tokio::select! {
                true = async { self.evicted.wait_for(|&evicted| evicted).await.is_ok() } => {
                    let status = Status::permission_denied("workload shop/cart was evicted; join again");
                    let _ = self.responses.try_send(Err(status));
                    return;
                }
                request = self.requests.message() => {
                    let Ok(Some(request)) = request else { return };
                    let Some(kind) = Kind::of_type_url(&request.type_url) else { continue };
                    for (name, version) in &request.initial_resource_versions {
                        known.insert((kind, name.clone(), version.clone()));
                    }
                    for name in request.resource_names_unsubscribe {
                        wanted.remove(&(kind, name));
                    }
                    let names = request.resource_names_subscribe.into_iter().filter(|name| name != "*");
                    due.extend(names.map(|name| (kind, name)));
                    wanted.extend(due.iter().cloned());
                }
                changed = snapshot.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    due.extend(wanted.iter().cloned());
                }
            }
            due.sort();
            let all = snapshot.borrow().clone();
            for (kind, name) in due {
                match find(&all, kind, &name) {
                    Some(made) => {
                        if known.insert((kind, name, made.version().to_owned())) {
                            self.send(kind, &[&made], &[]).await;
                        }
                    }
                    None => drop(self.send(kind, &[], &[&name]).await),
                }
            }
        }
    }
}

#[derive(Clone)]
struct Service {
    pki: Arc<Pki>,
    how: Arc<How>,
    told: Arc<Mutex<Told>>,
    evicted: watch::Receiver<bool>,
    streams: mpsc::Sender<AdsStream>,
}

impl Service {
    fn certificate(&self, request: &[u8]) -> Result<Option<Certificate>, Status> {
        let (age, life) = self.how.leaf;
        let now = std::time::SystemTime::now();
        let leaf = Leaf { not_before: now - age, not_after: now + life, ..Leaf::of(self.how.workload) };
        let chain = self.pki.sign(request, &leaf).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let trust_anchors = self.pki.anchors();
        Ok(Some(Certificate { chain, trust_anchors, spiffe_id: id(self.how.workload) }))
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let request = request.into_inner();
        if request.token != TOKEN {
            return Err(Status::permission_denied("no"));
        }
        {
            let mut told = self.told.lock().unwrap();
            told.joined += 1;
            told.signing.push(request.signing_request.clone());
            if told.joined <= self.how.loses {
                return Err(Status::unavailable("the connection broke"));
            }
        }
        let (namespace, name) = self.how.workload.split_once('/').unwrap();
        let certificate = self.certificate(&request.signing_request)?;
        let enrolment = "e-1".into();
        Ok(Response::new(JoinResponse { certificate, namespace: namespace.into(), name: name.into(), enrolment }))
    }
}

#[tonic::async_trait]
impl Renewal for Service {
    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        self.told.lock().unwrap().renewed += 1;
        let certificate = self.certificate(&request.into_inner().signing_request)?;
        Ok(Response::new(RenewResponse { certificate }))
    }
}

#[tonic::async_trait]
impl Registration for Service {
    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        if *self.evicted.borrow() {
            return Err(Status::not_found("there is no workload shop/cart"));
        }
        self.told.lock().unwrap().reports.push(request.into_inner());
        Ok(Response::new(ReportResponse { revision: 1 }))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        self.told.lock().unwrap().left.push(request.into_inner());
        Ok(Response::new(LeaveResponse {}))
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("delta only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (responses, outgoing) = mpsc::channel(64);
        if *self.evicted.borrow() {
            return Err(Status::permission_denied("workload shop/cart was evicted; join again"));
        }
        let stream = AdsStream { requests: request.into_inner(), responses, evicted: self.evicted.clone(), nonce: 0 };
        let _ = self.streams.send(stream).await;
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}
