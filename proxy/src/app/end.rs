//! The end: callers first learn that nothing new is wanted, then the program learns that it is over, and what is in flight
//! is finished before the sidecar goes.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::{Sidecar, serve::ended};
use crate::{
    admin::Readiness,
    app::{
        drain::{callers_are_gone, is_delivered},
        signals::{Signals, exit_code},
    },
    control::{proto::Health, registration::leave},
};

/// How often is looked whether callers are gone.
const LOOK: Duration = Duration::from_millis(20);

impl Sidecar {
    /// Ends in good order; at once if it is asked for again.
    pub(super) async fn end(mut self, signal: Signal, signals: &mut Signals) -> u8 {
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
        self.send_callers_away("draining");
        let callers = (!self.probing.is_empty()).then(|| self.serving.inbound_requests.clone());
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
        self.finish(began + limit).await;
        code
    }

    /// Ends after the program has: what it had answered is still on its way.
    pub(super) async fn settle(&self) {
        let deadline = Instant::now() + self.drain_timeout;
        self.send_callers_away("the program has ended");
        self.finish(deadline).await;
    }

    /// Says everywhere that callers should go elsewhere, and why.
    fn send_callers_away(&self, reason: &str) {
        self.readiness.swap(Arc::new(Readiness::Not(reason.into())));
        for probing in &self.probing {
            probing.abort();
        }
        self.health.send_replace(Health::Draining);
        self.serving.inbound_draining.send_replace(true);
    }

    /// Tells the program to end, and sees to it that it does. Its exit code, or 0 if there is no program.
    async fn end_program(&mut self, signal: Signal, deadline: Instant) -> u8 {
        let Some(child) = &mut self.child else { return 0 };
        child.ask_to_end(signal);
        if let Ok(code) = timeout_at(deadline, child.ended()).await {
            return code;
        }
        warn!("the program did not end in time; killing it");
        child.kill();
        // Nothing survives that, but for a process that the system itself holds on to.
        timeout(Duration::from_secs(1), child.ended()).await.unwrap_or_else(|_| exit_code(Signal::KILL))
    }

    /// Waits until everything is answered and delivered, until `deadline` at most, and leaves the mesh.
    async fn finish(&self, deadline: Instant) {
        self.serving.outbound_draining.send_replace(true);
        let finished = async {
            let in_flight = || self.serving.inbound_requests.inside() + self.serving.outbound_requests.inside();
            while !is_delivered(in_flight(), self.serving.callers.inside(), self.serving.inbound_requests.quiet_for()) {
                sleep(LOOK).await;
            }
        };
        if timeout_at(deadline, finished).await.is_err() {
            warn!("requests were still in flight");
        }
        // Nothing may be reported after this.
        self.reporting.abort();
        leave(&self.channel, &self.workload).await;
    }
}
