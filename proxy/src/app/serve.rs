//! Serving, and the end: callers first learn that nothing new is wanted, then the program learns that it is over.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::Sidecar;
use crate::{
    admin::Readiness,
    child::Child,
    drain::callers_are_gone,
    proto::Health,
    registration::leave,
    signals::{Signals, asks_to_end, exit_code},
};

/// How often is looked whether callers are gone.
const LOOK: Duration = Duration::from_millis(20);

impl Sidecar {
    /// Serves until the program ends or somebody asks for the end, and gives the exit code.
    pub(super) async fn serve(mut self, signals: &mut Signals) -> u8 {
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
        child.ask_to_end(signal);
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
