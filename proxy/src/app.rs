//! Puts the parts together, and leads the sidecar through its life: start, serve, end.

use std::{ffi::OsString, io, net::Ipv4Addr, sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::transport::Channel;
use tracing::{info, warn};

use crate::{
    admin::{Admin, Readiness},
    child::{Child, Surroundings, environment},
    drain::callers_are_gone,
    env::Settings,
    gate::Gate,
    health::watch_program,
    http::ServerSettings,
    identity::{
        credentials::Credentials,
        obtain::{NoIdentity, Ways, obtain},
        renew::keep_fresh,
        state::Resting,
    },
    inbound::Inbound,
    link,
    listeners::{Addresses, Listeners, NoListener},
    metrics::Metrics,
    outbound::{Outbound, turns::Turns},
    proto::Health,
    published::Published,
    registration::{Workload, keep_reported, leave},
    signals::{Signals, asks_to_end, exit_code},
    state_dir::{NotOurs, StateDir},
    upstream::Upstream,
    xds::{
        client::{Client, Outlook},
        decode::INBOUND_PREFIX,
        disk::Copy,
        mirror::Mirror,
    },
};

/// How long a call may wait for the control plane to say where it goes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked whether callers are gone.
const LOOK: Duration = Duration::from_millis(20);

/// Why the sidecar could not start. Each is one line for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory is not ours.
    #[error(transparent)]
    StateDir(#[from] NotOurs),
    /// A socket could not be had.
    #[error(transparent)]
    Listener(#[from] NoListener),
    /// We are nobody.
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    /// Nobody says what to do.
    #[error("the control plane sent no configuration for {workload} within {limit:?}")]
    NoConfiguration {
        /// Who we are.
        workload: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The program could not be started.
    #[error("cannot start {command:?}: {source}")]
    Program {
        /// What was to be started.
        command: OsString,
        /// Why not.
        source: io::Error,
    },
    /// Something that the system ought to give.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs a sidecar to its end, beside `command` if there is one, and gives the exit code.
pub async fn run(
    settings: Settings,
    command: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
) -> Result<u8, StartError> {
    let mut signals = Signals::listen()?;
    let directory = StateDir::claim(&settings.state_dir)?;
    Addresses::forget(&directory);
    let listeners = Listeners::bind(&settings).await?;
    let addresses = listeners.addresses()?;
    addresses.tell(&directory)?;
    let mut sidecar = tokio::select! {
        started = Sidecar::start(&settings, &directory, listeners, addresses) => started?,
        signal = signals.end() => return Ok(if command.is_empty() { 0 } else { exit_code(signal) }),
    };
    if let Some(program) = command.first() {
        let workload = sidecar.identity.now().workload();
        let Addresses { outbound, admin, .. } = addresses;
        let environment = environment(variables, &Surroundings { outbound, admin, workload });
        sidecar.child = Some(
            Child::start(&command, environment)
                .map_err(|source| StartError::Program { command: program.clone(), source })?,
        );
    }
    info!(?addresses, "ready");
    sidecar.readiness.swap(Arc::new(Readiness::Ready));
    Ok(sidecar.serve(&mut signals).await)
}

/// A sidecar that serves.
struct Sidecar {
    identity: Arc<Published<Credentials>>,
    readiness: Arc<Published<Readiness>>,
    channel: Channel,
    workload: Workload,
    /// What callers are told of the program; nothing changes it any more once we drain.
    health: watch::Sender<Health>,
    /// Asks the program how it is, if anybody calls it.
    probing: Option<JoinHandle<()>>,
    /// Tells the control plane how the program is.
    reporting: JoinHandle<()>,
    /// Turn true when callers, then the program, should go elsewhere.
    inbound_draining: watch::Sender<bool>,
    outbound_draining: watch::Sender<bool>,
    inbound_requests: Gate,
    outbound_requests: Gate,
    drain_timeout: Duration,
    child: Option<Child>,
}

impl Sidecar {
    /// Comes to an identity and a configuration, and serves from then on.
    async fn start(
        settings: &Settings,
        directory: &StateDir,
        listeners: Listeners,
        addresses: Addresses,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + settings.start_timeout;
        let metrics = Arc::new(Metrics::default());
        let outlook = Arc::new(Outlook::default());
        let readiness: Arc<Published<Readiness>> = Arc::default();
        let (known, identity) = watch::channel(None);
        let (config, report) = (outlook.config.clone(), outlook.report.clone());
        let admin = Admin { readiness: readiness.clone(), identity, config, report, metrics: metrics.clone() };
        tokio::spawn(Arc::new(admin).run(listeners.admin));

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
        tokio::spawn(client.run(channel.clone()));

        let first = if settings.app_port.is_some() { Health::Unhealthy } else { Health::Healthy };
        let health = watch::Sender::new(first);
        let probing = settings
            .app_port
            .map(|port| tokio::spawn(watch_program((Ipv4Addr::LOCALHOST, port).into(), health.clone())));
        let reporting = tokio::spawn(keep_reported(channel.clone(), connections, workload.clone(), health.subscribe()));

        let upstream = Arc::new(Upstream::new(identity.clone(), metrics.clone()));
        let (inbound_draining, outbound_draining) = (watch::Sender::new(false), watch::Sender::new(false));
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
                connections: Gate::new(settings.max_connections),
                draining: inbound_draining.subscribe(),
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
            inbound_requests,
            outbound_requests,
            drain_timeout: settings.drain_timeout,
            child: None,
        })
    }

    /// Serves until the program ends or somebody asks for the end, and gives the exit code.
    async fn serve(mut self, signals: &mut Signals) -> u8 {
        loop {
            tokio::select! {
                code = ended(&mut self.child) => {
                    info!(code, "the program has ended");
                    self.leave().await;
                    return code;
                }
                signal = signals.next() => {
                    if asks_to_end(signal) {
                        return self.end(signal, signals).await;
                    }
                    if let Some(child) = &self.child {
                        child.signal(signal);
                    }
                }
            }
        }
    }

    /// Ends in good order; at once if it is asked for again.
    async fn end(mut self, signal: Signal, signals: &mut Signals) -> u8 {
        tokio::select! {
            code = self.drain(signal) => return code,
            _ = signals.end() => {}
        }
        warn!("ending at once");
        if let Some(child) = &self.child {
            child.kill();
        }
        exit_code(signal)
    }

    async fn drain(&mut self, signal: Signal) -> u8 {
        let (began, limit) = (Instant::now(), self.drain_timeout);
        info!(?limit, "draining");
        self.readiness.swap(Arc::new(Readiness::Not("draining".into())));
        if let Some(probing) = &self.probing {
            probing.abort();
        }
        self.health.send_replace(Health::Draining);
        self.inbound_draining.send_replace(true);
        let callers = self.probing.as_ref().map(|_| self.inbound_requests.clone());
        let gone = async {
            let Some(callers) = callers else { return };
            while !callers_are_gone(began.elapsed(), callers.quiet_for(), limit) {
                sleep(LOOK).await;
            }
        };
        let early = tokio::select! {
            () = gone => None,
            code = ended(&mut self.child) => Some(code),
        };
        let code = match early {
            Some(code) => code,
            None => self.end_program(signal, began + limit).await,
        };
        self.outbound_draining.send_replace(true);
        let (inbound, outbound) = (self.inbound_requests.clone(), self.outbound_requests.clone());
        let finished = async {
            while inbound.inside() + outbound.inside() > 0 {
                sleep(LOOK).await;
            }
        };
        if timeout_at(began + limit, finished).await.is_err() {
            warn!("requests were still in flight");
        }
        self.leave().await;
        code
    }

    /// Tells the program to end, and sees to it that it does. Its exit code, or 0 if there is no program.
    async fn end_program(&mut self, signal: Signal, deadline: Instant) -> u8 {
        let Some(child) = &mut self.child else { return 0 };
        child.signal(signal);
        if let Ok(code) = timeout_at(deadline, child.ended()).await {
            return code;
        }
        warn!("the program did not end in time; killing it");
        child.kill();
        // Nothing survives that, but for a process that the system itself holds on to.
        timeout(Duration::from_secs(1), child.ended()).await.unwrap_or_else(|_| exit_code(Signal::KILL))
    }

    /// Nothing may be reported after this.
    async fn leave(&self) {
        self.reporting.abort();
        leave(&self.channel, &self.workload).await;
    }
}

/// The exit code of the program, when it has ended.
async fn ended(child: &mut Option<Child>) -> u8 {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}
