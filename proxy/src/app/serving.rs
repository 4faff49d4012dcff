//! What serves requests: both doors, on a thread that does nothing else.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};

use crate::{
    app::env::{Forward, Settings},
    base::{gate::Gate, published::Published, worker::Worker},
    control::{registration::Workload, xds::client::Outlook},
    exchange::{
        Exchange,
        burden::{Burden, Owner},
        upstream::{Settings as Way, Upstream},
    },
    host::{calls::Calls, program::Program, users::Users},
    http::ServerSettings,
    identity::credentials::Credentials,
    inbound::{Inbound, callers::Callers},
    outbound::Outbound,
    telemetry::metrics::Metrics,
};

/// How long a call may wait for the control plane to say where it goes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What both doors have in common.
pub(super) struct Common {
    pub(super) identity: Arc<Published<Credentials>>,
    pub(super) outlook: Arc<Outlook>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) workload: Workload,
}

/// The doors, and what is known of who passes there.
pub(super) struct Serving {
    worker: Worker,
    common: Common,
    exchange: Arc<Exchange>,
    /// Turn true when callers, then the program, should go elsewhere.
    pub(super) inbound_draining: watch::Sender<bool>,
    pub(super) outbound_draining: watch::Sender<bool>,
    /// Connections from callers, and requests on them.
    pub(super) callers: Callers,
    pub(super) inbound_requests: Gate,
    pub(super) outbound_requests: Gate,
}

impl Serving {
    /// With both doors closed.
    pub(super) fn new(settings: &Settings, common: Common) -> io::Result<Self> {
        let worker = Worker::start("sluice-requests")?;
        let way = Way { most_kept: (settings.max_connections / 4).clamp(16, 512), ..Way::default() };
        let burden = Arc::new(Burden::new(settings.max_memory, settings.max_requests));
        let upstream = {
            let _inside = worker.enter();
            let (identity, metrics) = (common.identity.clone(), common.metrics.clone());
            Arc::new(Upstream::new(identity, metrics, burden.ledger().clone(), way))
        };
        // Not on the thread that is busy when memory runs short.
        tokio::spawn(burden.clone().keep_within());
        Ok(Self {
            worker,
            common,
            exchange: Arc::new(Exchange::new(upstream, burden)),
            inbound_draining: watch::Sender::new(false),
            outbound_draining: watch::Sender::new(false),
            callers: Callers::new(settings.max_connections),
            inbound_requests: Gate::new(settings.max_requests),
            outbound_requests: Gate::new(settings.max_requests),
        })
    }

    /// Takes the program's calls.
    pub(super) fn open_outbound(
        &self,
        settings: &Settings,
        users: Users,
        listener: TcpListener,
        forward: Vec<TcpListener>,
    ) -> io::Result<()> {
        let Common { identity, outlook, metrics, workload } = &self.common;
        let outbound = Outbound {
            config: outlook.config.clone(),
            demand: outlook.demand.clone(),
            exchange: self.exchange.clone(),
            identity: identity.clone(),
            namespace: workload.namespace.as_str().into(),
            metrics: metrics.clone(),
            settings: ServerSettings::default(),
            patience: PATIENCE,
            portion: self.exchange.burden.portion(Owner::Program),
            in_flight: self.outbound_requests.clone(),
            users,
            connections: Gate::new(settings.max_connections),
            draining: self.outbound_draining.subscribe(),
            told: AtomicBool::new(false),
        };
        let outbound = Arc::new(outbound);
        for (Forward { to, .. }, listener) in settings.forward.iter().zip(forward) {
            let listener = self.worker.adopt(listener)?;
            let _inside = self.worker.enter();
            tokio::spawn(outbound.clone().forward(listener, to.as_str().into()));
        }
        let listener = self.worker.adopt(listener)?;
        let _inside = self.worker.enter();
        tokio::spawn(outbound.run(listener));
        Ok(())
    }

    /// Takes calls for the program at its `port`, which is in `place`.
    pub(super) fn open_inbound(
        &self,
        place: usize,
        port: u16,
        program: Arc<Published<Program>>,
        calls: Calls,
        listener: TcpListener,
    ) -> io::Result<()> {
        let Common { identity, outlook, metrics, workload } = &self.common;
        let inbound = Inbound {
            config: outlook.config.clone(),
            identity: identity.clone(),
            exchange: self.exchange.clone(),
            place,
            port,
            program,
            calls,
            workload: format!("{}/{}", workload.namespace, workload.name).into(),
            metrics: metrics.clone(),
            settings: ServerSettings::default(),
            in_flight: self.inbound_requests.clone(),
            callers: self.callers.clone(),
            draining: self.inbound_draining.subscribe(),
            rules_of: AtomicUsize::new(0),
        };
        let listener = self.worker.adopt(listener)?;
        let _inside = self.worker.enter();
        tokio::spawn(Arc::new(inbound).run(listener));
        Ok(())
    }
}
