//! Waits for a moment of the clock on the wall: whoever sleeps through it, as a laptop does, wakes up after it.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// How long is waited without a look at the clock. Timers stand still while a machine sleeps; certificates do not.
const SLICE: Duration = Duration::from_secs(30);

/// Returns once `clock` says that it is `moment`, or later.
pub async fn reached(moment: SystemTime, clock: impl Fn() -> SystemTime) {
    loop {
        let left = moment.duration_since(clock()).unwrap_or_default();
        if left.is_zero() {
            return;
        }
        sleep(left.min(SLICE)).await;
    }
}
