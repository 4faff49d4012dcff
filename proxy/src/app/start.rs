//! The start: an identity, a configuration, and everything that serves from then on.

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{Sidecar, StartError};
use crate::{
    admin::{Admin, Readiness},
    calls::Calls,
    env::Settings,
    gate::Gate,
    health::{Asks, watch_program},
    http::ServerSettings,
    identity::{
        credentials::Credentials,
        obtain::{Ways, obtain},
        renew::keep_fresh,
        state::Resting,
    },
    inbound::Inbound,
    link,
    listeners::{Addresses, Listeners},
    metrics::Metrics,
    outbound::{Outbound, aside::Aside, turns::Turns},
    proto::Health,
    published::Published,
    registration::{Workload, keep_reported},
    state_dir::StateDir,
    upstream::{Settings as Way, Upstream},
    xds::{
        client::{Client, Outlook},
        decode::INBOUND_PREFIX,
        disk::Copy,
        mirror::Mirror,
    },
};

/// How long a call may wait for the control plane to say where it goes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Sidecar {
    /// Comes to an identity and a configuration, and serves from then on.
    pub(super) async fn start(
        settings: &Settings,
        directory: &StateDir,
        listeners: Listeners,
        addresses: Addresses,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + settings.start_timeout;
        let metrics = Arc::new(Metrics::default());
        let outlook = Arc::new(Outlook::default());
        let readiness: Arc<Published<Readiness>> = Arc::default();
        let known = show(listeners.admin, &readiness, &outlook, &metrics);

        readiness.swap(Arc::new(Readiness::Not("no identity yet".into())));
        let resting = Resting::within(directory.path());
        let ways = Ways {
            token_file: settings.join_token_file.clone(),
            trust_anchors: settings.trust_anchors.clone(),
            join_addr: settings.join_addr.clone(),
            deadline,
        };
        let credentials = obtain(&resting, ways).await?;
        let name = credentials.workload();
        let workload = Workload {
            namespace: credentials.material.namespace.clone(),
            name: credentials.material.name.clone(),
            address: settings.advertise_address,
            port: addresses.inbound.map_or(0, |address| address.port()),
        };
        let identity = Arc::new(Published::new(credentials));
        known.send_replace(Some(identity.clone()));

        readiness.swap(Arc::new(Readiness::Not("no configuration yet".into())));
        let current = identity.clone();
        let (channel, connections) = link::channel(&settings.xds_addr, move || current.now().control_plane());
        tokio::spawn(keep_fresh(identity.clone(), channel.clone(), resting, metrics.clone()));
        let inbound = settings.app_port.map(|_| format!("{INBOUND_PREFIX}{name}"));
        let mirror = Mirror::new(inbound.as_deref(), settings.limits);
        let copy = Copy::within(directory.path());
        let client = Client::new(name.clone(), mirror, copy, outlook.clone(), metrics.clone());
        tokio::spawn(client.run(channel.clone(), connections.clone()));

        let first = if settings.app_port.is_some() { Health::Unhealthy } else { Health::Healthy };
        let health = watch::Sender::new(first);
        let calls = Calls::default();
        let probing = settings
            .app_port
            .map(|port| (Ipv4Addr::LOCALHOST, port).into())
            .map(|program| tokio::spawn(watch_program(program, Asks::default(), calls.clone(), health.clone())));
        let (told, standing) = (health.subscribe(), outlook.standing.clone());
        let reporting = tokio::spawn(keep_reported(channel.clone(), connections, workload.clone(), told, standing));

        let way = Way { most_kept: (settings.max_connections / 4).clamp(16, 512), ..Way::default() };
        let upstream = Arc::new(Upstream::new(identity.clone(), metrics.clone(), way));
        let (inbound_draining, outbound_draining) = (watch::Sender::new(false), watch::Sender::new(false));
        let callers = Gate::new(settings.max_connections);
        let inbound_requests = Gate::new(settings.max_requests);
        let outbound_requests = Gate::new(settings.max_requests);
        let outbound = Outbound {
            config: outlook.config.clone(),
            demand: outlook.demand.clone(),
            upstream: upstream.clone(),
            namespace: workload.namespace.as_str().into(),
            metrics: metrics.clone(),
            settings: ServerSettings::default(),
            patience: PATIENCE,
            in_flight: outbound_requests.clone(),
            connections: Gate::new(settings.max_connections),
            draining: outbound_draining.subscribe(),
            turns: Turns::default(),
            aside: Aside::default(),
        };
        tokio::spawn(Arc::new(outbound).run(listeners.outbound));
        if let (Some(listener), Some(port)) = (listeners.inbound, settings.app_port) {
            timeout_at(deadline, outlook.config.find(|config| config.inbound.clone()))
                .await
                .map_err(|_| StartError::NoConfiguration { workload: name.clone(), limit: settings.start_timeout })?;
            let inbound = Inbound {
                config: outlook.config.clone(),
                identity: identity.clone(),
                upstream,
                program: (Ipv4Addr::LOCALHOST, port).into(),
                workload: name.into(),
                metrics,
                settings: ServerSettings::default(),
                in_flight: inbound_requests.clone(),
                calls,
                connections: callers.clone(),
                draining: inbound_draining.subscribe(),
                rules_of: AtomicUsize::new(0),
            };
            tokio::spawn(Arc::new(inbound).run(listener));
        }
        Ok(Self {
            identity,
            readiness,
            channel,
            workload,
            health,
            probing,
            reporting,
            inbound_draining,
            outbound_draining,
            callers,
            inbound_requests,
            outbound_requests,
            drain_timeout: settings.drain_timeout,
            child: None,
        })
    }
}

/// Shows everything on the admin port from now on; who we are, once it is told that.
fn show(
    listener: TcpListener,
    readiness: &Arc<Published<Readiness>>,
    outlook: &Outlook,
    metrics: &Arc<Metrics>,
) -> watch::Sender<Option<Arc<Published<Credentials>>>> {
    let (known, identity) = watch::channel(None);
    let (readiness, metrics) = (readiness.clone(), metrics.clone());
    let (config, report, standing) = (outlook.config.clone(), outlook.report.clone(), outlook.standing.clone());
    let admin = Admin { readiness, identity, config, standing, report, metrics };
    tokio::spawn(Arc::new(admin).run(listener));
    known
}
