//! Tells the control plane where the workload is reached and how it fares: whenever that changes, and whenever the control
//! plane may have forgotten it, which is after each new connection and each new stream.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tonic::{Request, Status, transport::Channel};
use tracing::{debug, info, warn};

use crate::{
    base::{backoff::Backoff, chance},
    control::{
        link::{Connections, is_unknown_there, reason},
        proto::{Health, LeaveRequest, ReportRequest, WorkloadPort, registration_client::RegistrationClient},
        standing::{Said, Standing},
    },
};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// A workload, and where it is reached.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where callers reach it.
    pub address: IpAddr,
    /// What callers call there; nothing: it only calls.
    pub ports: Vec<WorkloadPort>,
}

/// Reports for ever.
pub async fn keep_reported(
    channel: Channel,
    connections: Connections,
    workload: Workload,
    mut health: watch::Receiver<Health>,
    standing: Arc<Standing>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(15));
    let mut made = connections.watch();
    loop {
        let state = *health.borrow_and_update();
        match report(&channel, &workload, state).await {
            Ok(revision) => {
                info!(?state, revision, "the control plane knows how the workload fares");
                standing.known(Said::Report);
                backoff.reset();
                // The report itself may have made the connection.
                made.mark_unchanged();
                tokio::select! {
                    _ = health.changed() => {}
                    _ = made.changed() => {}
                }
            }
            Err(status) => {
                let wait = backoff.after_failure(chance::fraction());
                if is_unknown_there(&status) {
                    standing.unknown(Said::Report, reason(&status));
                    debug!(?wait, "reporting again");
                } else {
                    warn!(reason = reason(&status), ?wait, "cannot report how the workload fares");
                }
                tokio::select! {
                    _ = health.changed() => {}
                    () = sleep(wait) => {}
                }
            }
        }
    }
}

async fn report(channel: &Channel, workload: &Workload, health: Health) -> Result<u64, Status> {
    let mut request = Request::new(ReportRequest {
        namespace: workload.namespace.clone(),
        name: workload.name.clone(),
        address: workload.address.to_string(),
        health: health.into(),
        ports: workload.ports.clone(),
        // What sidecars said that knew of one port alone.
        ..ReportRequest::default()
    });
    request.set_timeout(DEADLINE);
    Ok(RegistrationClient::new(channel.clone()).report(request).await?.into_inner().revision)
}

/// The workload goes away for good. No answer is no reason to stay.
pub async fn leave(channel: &Channel, workload: &Workload) {
    let mut request = Request::new(LeaveRequest { namespace: workload.namespace.clone(), name: workload.name.clone() });
    request.set_timeout(DEADLINE);
    let mut client = RegistrationClient::new(channel.clone());
    match tokio::time::timeout(DEADLINE, client.leave(request)).await {
        Ok(Ok(_)) => info!("left the mesh"),
        Ok(Err(status)) => warn!(reason = reason(&status), "left without being heard"),
        Err(_) => warn!("left without being heard"),
    }
}
