//! The start: an identity, a configuration, and everything that serves from then on.

use std::{collections::BTreeMap, sync::Arc};

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
    app::{
        env::Settings,
        listeners::{Addresses, Listeners},
    },
    base::published::Published,
    control::{
        health::{Asks, Fitness, Sought, watch_program},
        link,
        proto::{Health, WorkloadPort},
        registration::{Workload, keep_reported},
        xds::{
            client::{Client, Outlook},
            decode::INBOUND_PREFIX,
            disk::Copy,
            mirror::Mirror,
        },
    },
    host::{
        calls::Calls,
        program::{AppPort, Program},
        state_dir::StateDir,
        users::Users,
    },
    identity::{
        credentials::Credentials,
        obtain::{Ways, obtain},
        renew::keep_fresh,
        state::Resting,
    },
    telemetry::metrics::Metrics,
};

impl Sidecar {
    /// Comes to an identity and a configuration, and serves from then on.
    pub(super) async fn start(
        settings: &Settings,
        users: &Users,
        directory: &StateDir,
        listeners: Listeners,
        addresses: &Addresses,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + settings.start_timeout;
        let metrics = Arc::new(Metrics::default());
        let outlook = Arc::new(Outlook::default());
        let readiness: Arc<Published<Readiness>> = Arc::default();
        let sought = settings.app_ports.iter().map(|app| Sought::new(app.port, settings.exposed_program));
        let sought: Vec<Sought> = sought.collect();
        let program = sought.iter().map(|sought| (sought.port, sought.program.clone())).collect();
        let shown = Shown { program, users: users.clone(), metrics: metrics.clone() };
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
            ports: ports(&settings.app_ports, addresses),
        };
        let identity = Arc::new(Published::new(credentials));
        known.send_replace(Some(identity.clone()));

        readiness.swap(Arc::new(Readiness::Not("no configuration yet".into())));
        let current = identity.clone();
        let (channel, connections) = link::channel(&settings.xds_addr, move || current.now().control_plane());
        tokio::spawn(keep_fresh(identity.clone(), channel.clone(), resting, metrics.clone()));
        let doors: Vec<_> =
            settings.app_ports.iter().map(|app| format!("{INBOUND_PREFIX}{name}:{}", app.port)).collect();
        let mirror = Mirror::new(&doors.iter().map(String::as_str).collect::<Vec<_>>(), settings.limits);
        let copy = Copy::within(directory.path());
        let client = Client::new(name.clone(), mirror, copy, outlook.clone(), metrics.clone());
        tokio::spawn(client.run(channel.clone(), connections.clone()));

        let first = if sought.is_empty() { Health::Healthy } else { Health::Unhealthy };
        let health = watch::Sender::new(first);
        let fitness = Fitness::of(sought.len(), health.clone());
        let callable: Vec<_> = sought.into_iter().map(|sought| (sought, Calls::default())).collect();
        let watch = |(place, (sought, calls)): (usize, &(Sought, Calls))| {
            tokio::spawn(watch_program(sought.clone(), Asks::default(), calls.clone(), fitness.clone(), place))
        };
        let probing = callable.iter().enumerate().map(watch).collect();
        let (told, standing) = (health.subscribe(), outlook.standing.clone());
        let reporting = tokio::spawn(keep_reported(channel.clone(), connections, workload.clone(), told, standing));

        let common =
            Common { identity: identity.clone(), outlook: outlook.clone(), metrics, workload: workload.clone() };
        let serving = Serving::new(settings, common)?;
        serving.open_outbound(settings, users.clone(), listeners.outbound, listeners.forward)?;
        let all_doors =
            outlook.config.find(|config| (0..doors.len()).all(|at| config.entrance(at).is_some()).then_some(()));
        timeout_at(deadline, all_doors)
            .await
            .map_err(|_| StartError::NoConfiguration { workload: name.clone(), limit: settings.start_timeout })?;
        for (place, (listener, (sought, calls))) in listeners.inbound.into_iter().zip(callable).enumerate() {
            serving.open_inbound(place, sought.port, sought.program, calls, listener)?;
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

/// The ports of the program, each with where its callers are taken.
fn ports(app_ports: &[AppPort], addresses: &Addresses) -> Vec<WorkloadPort> {
    let reached_at = |app: &AppPort| addresses.inbound.get(&app.port).map_or(0, |address| address.port().into());
    let port =
        |app: &AppPort| WorkloadPort { name: app.name.clone(), port: app.port.into(), sidecar_port: reached_at(app) };
    app_ports.iter().map(port).collect()
}

/// What is shown beside what the control plane says.
struct Shown {
    program: BTreeMap<u16, Arc<Published<Program>>>,
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
