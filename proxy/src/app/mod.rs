//! Puts the parts together, and leads the sidecar through its life: `start`, `serve`, end.

pub mod drain;
mod end;
pub mod env;
pub mod listeners;
mod serve;
mod serving;
pub mod signals;
mod start;

use std::{ffi::OsString, io, sync::Arc, time::Duration};

use serving::Serving;
use tokio::{sync::watch, task::JoinHandle};
use tonic::transport::Channel;
use tracing::info;

use crate::{
    admin::Readiness,
    app::{
        env::Settings,
        listeners::{Addresses, Listeners, NoListener},
        signals::{Signals, exit_code},
    },
    base::published::Published,
    control::{proto::Health, registration::Workload},
    host::{
        child::{Child, Surroundings, environment},
        descriptors::{Descriptors, TooFew},
        orphans,
        state_dir::{NotOurs, StateDir},
        users::Users,
    },
    identity::{credentials::Credentials, obtain::NoIdentity},
};

/// Why the sidecar could not start. Each is one line for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no room for connections.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// The state directory is not ours.
    #[error(transparent)]
    StateDir(#[from] NotOurs),
    /// A socket could not be had.
    #[error(transparent)]
    Listener(#[from] NoListener),
    /// It cannot be told whose calls are whose.
    #[error("SLUICE_LOCAL_USERS: the system does not say whose a connection is: {0}")]
    Users(io::Error),
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
    mut settings: Settings,
    command: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
) -> Result<u8, StartError> {
    let mut signals = Signals::listen()?;
    let descriptors = Descriptors::raise();
    let wished = settings.max_connections;
    settings.max_connections = connections(&settings, &descriptors)?;
    let directory = StateDir::claim(&settings.state_dir)?;
    let users = Users::wished(&settings.local_users, !command.is_empty()).map_err(StartError::Users)?;
    let before = Addresses::take(&directory);
    let listeners = Listeners::bind(&settings, before).await?;
    let addresses = listeners.addresses(&settings.app_ports)?;
    addresses.tell(&directory)?;
    let mut sidecar = tokio::select! {
        started = Sidecar::start(&settings, &users, &directory, listeners, &addresses) => started?,
        signal = signals.end() => return Ok(if command.is_empty() { 0 } else { exit_code(signal) }),
    };
    if let Some(program) = command.first() {
        let workload = sidecar.identity.now().workload();
        let Addresses { outbound, admin, .. } = &addresses;
        let environment = environment(variables, &Surroundings { outbound: *outbound, admin: *admin, workload });
        sidecar.child = Some(
            Child::start(&command, environment, descriptors.given)
                .map_err(|source| StartError::Program { command: program.clone(), source })?,
        );
    }
    tokio::spawn(orphans::reap(sidecar.child.as_ref().map(Child::pid)));
    if settings.max_connections < wished {
        let (connections, descriptors) = (settings.max_connections, descriptors.most);
        info!(wished, connections, descriptors, "there are too few file descriptors for SLUICE_MAX_CONNECTIONS");
    }
    info!(?addresses, "ready");
    sidecar.readiness.swap(Arc::new(Readiness::Ready));
    Ok(sidecar.serve(&mut signals).await)
}

/// How many connections each listener takes.
fn connections(settings: &Settings, descriptors: &Descriptors) -> Result<usize, TooFew> {
    // That of the program's calls, and one for callers of each of its ports; there are few.
    let listeners = 1 + settings.app_ports.len() as u64;
    descriptors.connections(settings.max_connections, listeners)
}

/// A sidecar that serves.
struct Sidecar {
    identity: Arc<Published<Credentials>>,
    readiness: Arc<Published<Readiness>>,
    channel: Channel,
    workload: Workload,
    /// What callers are told of the program; nothing changes it any more once we drain.
    health: watch::Sender<Health>,
    /// Ask the program how it is, at each port that it is called at.
    probing: Vec<JoinHandle<()>>,
    /// Tells the control plane how the program is.
    reporting: JoinHandle<()>,
    /// What serves requests.
    serving: Serving,
    drain_timeout: Duration,
    child: Option<Child>,
}
