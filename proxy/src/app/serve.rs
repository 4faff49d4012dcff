//! Serving, until the program ends or somebody asks for the end.

use tracing::{info, warn};

use super::Sidecar;
use crate::{
    app::signals::{Signals, asks_to_end},
    host::child::Child,
};

impl Sidecar {
    /// Serves to the end, and gives the exit code.
    pub(super) async fn serve(mut self, signals: &mut Signals) -> u8 {
        loop {
            tokio::select! {
                code = ended(&mut self.child) => {
                    info!(code, "the program has ended");
                    tokio::select! {
                        () = self.settle() => {}
                        _ = signals.end() => warn!("ending at once"),
                    }
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
}

/// The exit code of the program, when it has ended.
pub(super) async fn ended(child: &mut Option<Child>) -> u8 {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}
