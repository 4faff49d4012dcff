//! When a proof ends, by the clock on the wall: whoever sleeps through the end, as a laptop does, wakes up after it.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// How long is waited before the clock is looked at again: timers stand still while the machine sleeps.
const SLICE: Duration = Duration::from_secs(30);

/// Returns at `end`; without one, never.
pub async fn reached(end: Option<SystemTime>) {
    let Some(end) = end else { return std::future::pending().await };
    while let Some(rest) = rest(end, SystemTime::now()) {
        sleep(rest.min(SLICE)).await;
    }
}

/// How long it is until `end`. `None`: that was before.
pub fn rest(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|rest| !rest.is_zero())
}
