//! The start: an identity, a configuration, and everything that serves from then on.

use std::sync::Arc;

use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Sidecar, StartError,
    serving::{Common, Serving},
};
use crate::{
    admin::{Admin, Readiness},
    calls::Calls,
    env::Settings,
    health::{Asks, Sought, watch_program},
    identity::{
        credentials::Credentials,
        obtain::{Ways, obtain},
        renew::keep_fresh,
        state::Resting,
    },
    link,
    listeners::{Addresses, Listeners},
    metrics::Metrics,
    program::Program,
    proto::Health,
    published::Published,
    registration::{Workload, keep_reported},
    state_dir::StateDir,
    users::Users,
    xds::{
        client::{Client, Outlook},
        decode::INBOUND_PREFIX,
        disk::Copy,
        mirror::Mirror,
    },
};

impl Sidecar {
    /// Comes to an identity and a configuration, and serves from then on.
    pub(super) async fn start(
        settings: &Settings,
        users: &Users,
        directory: &StateDir,
        listeners: Listeners,
        addresses: Addresses,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + settings.start_timeout;
        let metrics = Arc::new(Metrics::default());
        let outlook = Arc::new(Outlook::default());
        let readiness: Arc<Published<Readiness>> = Arc::default();
        let sought = settings.app_port.map(|port| Sought::new(port, settings.exposed_program));
        let program = sought.as_ref().map(|sought| sought.program.clone());
        let shown = Shown { program: program.clone(), users: users.clone(), metrics: metrics.clone() };
        let known = show(listeners.admin, &readiness, &outlook, shown);

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
        let probing =
            sought.map(|sought| tokio::spawn(watch_program(sought, Asks::default(), calls.clone(), health.clone())));
        let (told, standing) = (health.subscribe(), outlook.standing.clone());
        let reporting = tokio::spawn(keep_reported(channel.clone(), connections, workload.clone(), told, standing));

        let common =
            Common { identity: identity.clone(), outlook: outlook.clone(), metrics, workload: workload.clone() };
        let serving = Serving::new(settings, common)?;
        serving.open_outbound(settings, users.clone(), listeners.outbound)?;
        if let (Some(listener), Some(program)) = (listeners.inbound, program) {
            timeout_at(deadline, outlook.config.find(|config| config.inbound.clone()))
                .await
                .map_err(|_| StartError::NoConfiguration { workload: name.clone(), limit: settings.start_timeout })?;
            serving.open_inbound(program, calls, listener)?;
        }
        Ok(Self {
            identity,
            readiness,
            channel,
            workload,
            health,
            probing,
            reporting,
            serving,
            drain_timeout: settings.drain_timeout,
            child: None,
        })
    }
}

/// What is shown beside what the control plane says.
struct Shown {
    program: Option<Arc<Published<Program>>>,
    users: Users,
    metrics: Arc<Metrics>,
}

/// Shows everything on the admin port from now on; who we are, once it is told that.
fn show(
    listener: TcpListener,
    readiness: &Arc<Published<Readiness>>,
    outlook: &Outlook,
    Shown { program, users, metrics }: Shown,
) -> watch::Sender<Option<Arc<Published<Credentials>>>> {
    let (known, identity) = watch::channel(None);
    let readiness = readiness.clone();
    let (config, report, standing) = (outlook.config.clone(), outlook.report.clone(), outlook.standing.clone());
    let admin = Admin { readiness, identity, config, standing, report, program, users, metrics };
    tokio::spawn(Arc::new(admin).run(listener));
    known
}
