//! The stream: it is kept open, what comes over it goes into the mirror, and what the mirror makes of it goes into
//! force and back to the control plane. All decisions are the mirror's.

use std::{sync::Arc, time::Duration};

use envoy_types::pb::envoy::{
    config::core::v3::{Node, node::UserAgentVersionType},
    service::discovery::v3::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse,
        aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
    },
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use tracing::{debug, info, warn};

use super::{
    decode::INBOUND_PREFIX,
    demand::Demand,
    disk::Copy,
    ended::Ended,
    kind::Kind,
    mirror::{Mirror, Step},
    report::Report,
};
use crate::{
    base::{backoff::Backoff, chance, published::Published},
    config::{Config, Snapshot},
    control::{
        link::Connections,
        standing::{Said, Standing},
    },
    telemetry::metrics::Metrics,
};

/// The largest response that is read, in bytes.
const LARGEST_MESSAGE: usize = 64 << 20;

/// How many requests may wait for the control plane to take them. More, and the stream is given up.
const MOST_REQUESTS: usize = 256;

/// How long the control plane is given to answer before what is on disk goes into force.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long changes are gathered before the copy on disk is written.
const GATHER: Duration = Duration::from_millis(200);

const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What readers see of the client.
#[derive(Debug, Default)]
pub struct Outlook {
    /// What is in force.
    pub config: Arc<Published<Snapshot>>,
    /// What people may want to see.
    pub report: Arc<Published<Report>>,
    /// Which services the program calls.
    pub demand: Arc<Demand>,
    /// Whether the control plane knows us.
    pub standing: Arc<Standing>,
}

/// The one that hears the control plane.
pub struct Client {
    node: String,
    mirror: Mirror,
    outlook: Arc<Outlook>,
    metrics: Arc<Metrics>,
    copy: Copy,
    /// What is on disk, until the control plane has been heard: it may have been changed since by whoever asks us to obey.
    reserve: Option<Vec<DeltaDiscoveryResponse>>,
    /// When the copy on disk is to be written.
    write_at: Option<Instant>,
    /// The copy that is being written.
    writing: Option<JoinHandle<()>>,
    connected: bool,
    /// How many connections there were when the last stream was opened.
    connections: u64,
}

impl Client {
    /// A client for the workload `node` (`namespace/name`), with what is on disk in reserve.
    pub fn new(node: String, mut mirror: Mirror, copy: Copy, outlook: Arc<Outlook>, metrics: Arc<Metrics>) -> Self {
        let reserve = copy.read().unwrap_or_else(|error| {
            warn!(%error, "the configuration on disk cannot be used");
            None
        });
        // What was called before is asked for at once, and so stays in the copy.
        for name in reserve.iter().flatten().flat_map(services) {
            outlook.demand.call(name);
        }
        mirror.call(outlook.demand.all());
        outlook.report.swap(Arc::new(Report::of(&mirror, false)));
        let client = Self {
            node,
            mirror,
            outlook,
            metrics,
            copy,
            reserve,
            write_at: None,
            writing: None,
            connected: false,
            connections: 0,
        };
        client.tell_demand();
        client
    }

    /// Hears the control plane for ever.
    pub async fn run(mut self, channel: Channel, connections: Connections) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let ended = self.stream(&channel, &connections, &mut backoff).await;
            let step = self.mirror.close();
            self.put_in_force(step.config);
            self.connection(false);
            let wait = backoff.after_failure(chance::fraction());
            match ended {
                Ended::Fault(reason) => warn!(reason, ?wait, "the control plane is not heard; serving what is held"),
                Ended::Unknown(reason) => {
                    debug!(reason, ?wait, "the control plane turns the stream away");
                    self.outlook.standing.unknown(Said::Stream, reason);
                    // It may be that it only has to be told again that there is such a workload.
                    connections.as_if_new();
                }
            }
            self.fall_back();
            let until = Instant::now() + wait;
            let outlook = self.outlook.clone();
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    () = outlook.demand.changed() => {
                        let step = self.mirror.call(outlook.demand.all());
                        self.put_in_force(step.config);
                    }
                    () = due(self.write_at) => self.write(),
                }
            }
        }
    }

    /// Keeps one stream until it ends, and says why it did.
    async fn stream(&mut self, channel: &Channel, connections: &Connections, backoff: &mut Backoff) -> Ended {
        let (requests, queue) = mpsc::channel(MOST_REQUESTS);
        let step = self.mirror.call(self.outlook.demand.all());
        self.put_in_force(step.config);
        let mut opening = self.mirror.open();
        opening.requests[0].node = Some(node(&self.node));
        if let Err(reason) = self.carry_out(opening, &requests) {
            return reason.into();
        }
        let mut client =
            AggregatedDiscoveryServiceClient::new(channel.clone()).max_decoding_message_size(LARGEST_MESSAGE);
        let mut opened = Box::pin(client.delta_aggregated_resources(ReceiverStream::new(queue)));
        let mut responses: Option<Streaming<DeltaDiscoveryResponse>> = None;
        let outlook = self.outlook.clone();
        let patience = Instant::now() + PATIENCE;
        loop {
            // A server may say nothing at all, not even that it listens, until it has a resource to send: nothing here
            // waits for that.
            let step = tokio::select! {
                result = &mut opened, if responses.is_none() => match result {
                    Ok(response) => {
                        info!("the control plane is heard");
                        responses = Some(response.into_inner());
                        self.connection(true);
                        self.outlook.standing.known(Said::Stream);
                        self.opened(connections);
                        continue;
                    }
                    Err(status) => return status.into(),
                },
                message = next(&mut responses) => match message {
                    Ok(Some(response)) => {
                        backoff.reset();
                        self.receive(response)
                    }
                    Ok(None) => return "the control plane ended the stream".into(),
                    Err(status) => return status.into(),
                },
                () = outlook.demand.changed() => self.mirror.call(outlook.demand.all()),
                () = sleep_until(patience), if responses.is_none() && self.reserve.is_some() => {
                    return Ended::Fault(format!("it did not answer within {PATIENCE:?}"));
                }
                () = due(self.write_at) => {
                    self.write();
                    continue;
                }
            };
            let refused = !step.refused.is_empty();
            if let Err(reason) = self.carry_out(step, &requests) {
                return reason.into();
            }
            if refused && self.reserve.is_some() {
                return "it sent what cannot be obeyed, where what is on disk could".into();
            }
        }
    }

    /// A stream on a connection that had one before: what the workload's report said may have gone with that.
    fn opened(&mut self, connections: &Connections) {
        if std::mem::replace(&mut self.connections, connections.count()) == connections.count() {
            connections.as_if_new();
            self.connections = connections.count();
        }
    }

    fn receive(&mut self, response: DeltaDiscoveryResponse) -> Step {
        let kind = Kind::of_type_url(&response.type_url);
        let (brought, removed) = (response.resources.len(), response.removed_resources.len());
        debug!(kind = ?kind, nonce = response.nonce, brought, removed, "the control plane sent something");
        let step = self.mirror.receive(response);
        if step.refused.is_empty() {
            self.forget_reserve();
        }
        // A new version of the same content changes nothing but the copy.
        self.write_at.get_or_insert_with(|| Instant::now() + GATHER);
        if let Some(kind) = kind {
            let refused = step.refused.iter().filter(|(other, ..)| *other == kind).count();
            self.metrics.updates(kind.word(), "accepted", brought.saturating_sub(refused));
            self.metrics.updates(kind.word(), "refused", refused);
            self.metrics.updates(kind.word(), "removed", removed);
        }
        step
    }

    /// The swap first, then the ACK.
    fn carry_out(&mut self, step: Step, requests: &mpsc::Sender<DeltaDiscoveryRequest>) -> Result<(), &'static str> {
        for (kind, name, refusal) in &step.refused {
            warn!(kind = kind.word(), %name, version = refusal.version, reason = refusal.reason, "refused a resource");
        }
        self.put_in_force(step.config);
        for request in step.requests {
            requests.try_send(request).map_err(|_| "the control plane does not take what it is told")?;
        }
        Ok(())
    }

    fn put_in_force(&mut self, config: Option<Arc<Config>>) {
        if let Some(config) = config {
            let snapshot = Snapshot::of(config, &self.outlook.config.now(), chance::bits);
            self.outlook.config.swap(Arc::new(snapshot));
            self.tell_demand();
            self.write_at.get_or_insert_with(|| Instant::now() + GATHER);
        }
        self.outlook.report.swap(Arc::new(Report::of(&self.mirror, self.connected)));
    }

    /// Puts in force what is on disk, unless the control plane has said what is true now.
    fn fall_back(&mut self) {
        let Some(responses) = self.reserve.take() else { return };
        let step = self.mirror.restore(responses);
        if step.config.is_some() {
            info!("serving from the configuration on disk");
        }
        self.put_in_force(step.config);
    }

    /// What is held must not give way to names that nobody can be asked about. What is on disk may be held at any moment.
    fn tell_demand(&self) {
        let reserve = self.reserve.iter().flatten().flat_map(|response| &response.resources);
        let reserve = reserve.map(|resource| (resource.name.as_str().into(), Arc::default()));
        let snapshot = self.outlook.config.now();
        let held = snapshot.services().map(|service| (service.authority.clone(), service.last_called().clone()));
        // What is said of a name last counts: of what is in force, where calls to it are noted.
        self.outlook.demand.told(reserve.chain(held), self.connected);
    }

    fn connection(&mut self, connected: bool) {
        self.connected = connected;
        self.forget_reserve();
        self.tell_demand();
        self.metrics.xds_connected.set(connected.into());
        self.outlook.report.swap(Arc::new(Report::of(&self.mirror, connected)));
    }

    /// What is on disk is of no use any more once all that is asked for has been answered.
    fn forget_reserve(&mut self) {
        if self.connected && self.mirror.is_complete() {
            self.reserve = None;
        }
    }

    /// Writes the copy, off the thread that serves requests. Nothing waits for that, and only one is written at a time.
    /// What is in reserve stays in it, where nothing newer has been heard.
    fn write(&mut self) {
        self.write_at = None;
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            self.write_at = Some(Instant::now() + GATHER);
            return;
        }
        let (copy, responses) = (self.copy.clone(), self.mirror.save(self.reserve.as_deref().unwrap_or_default()));
        self.writing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = copy.write(&responses) {
                warn!(%error, "cannot write the configuration to disk");
            }
        }));
    }
}

/// The services that a copy speaks of.
fn services(response: &DeltaDiscoveryResponse) -> impl Iterator<Item = &str> {
    let is_listener = response.type_url == Kind::Listener.type_url();
    let names = response.resources.iter().map(|resource| &resource.name).chain(&response.removed_resources);
    names.map(String::as_str).filter(move |name| is_listener && !name.starts_with(INBOUND_PREFIX))
}

async fn next(
    responses: &mut Option<Streaming<DeltaDiscoveryResponse>>,
) -> Result<Option<DeltaDiscoveryResponse>, Status> {
    match responses {
        Some(responses) => responses.message().await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn node(id: &str) -> Node {
    Node {
        id: id.into(),
        user_agent_name: "sluice-proxy".into(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(env!("CARGO_PKG_VERSION").into())),
        ..Node::default()
    }
}
