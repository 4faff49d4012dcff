//! Asks a silent connection of HTTP/2 whether it lives.

use std::{future::pending, pin::pin, time::Duration};

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use super::intake::Intake;

/// Returns when nothing has come for `every`, and no answer to the question whether anybody is there within `patience`.
pub(super) async fn vanished(pings: Option<PingPong>, intake: Intake, every: Duration, patience: Duration) {
    let Some(mut pings) = pings else { return pending().await };
    loop {
        match every.checked_sub(intake.silent_for()) {
            None | Some(Duration::ZERO) => {}
            Some(rest) => {
                sleep(rest).await;
                continue;
            }
        }
        let mut answer = pin!(pings.ping(Ping::opaque()));
        // As long as it says something, or nobody listens, it is not taken for gone.
        loop {
            match timeout(patience, &mut answer).await {
                Ok(Ok(_)) => break,
                Ok(Err(_)) => return pending().await,
                Err(_) if intake.silent_for() >= patience => return,
                Err(_) => {}
            }
        }
    }
}
