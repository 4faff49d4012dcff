//! What the tests stand on: a certificate authority, resources as a control plane would make them, a control plane, and
//! programs behind and before sidecars.

pub mod bytes;
pub mod control_plane;
pub mod http;
pub mod mesh;
pub mod pki;
pub mod process;
pub mod relay;
#[allow(clippy::unnecessary_wraps, reason = "fields of messages are optional, and what fills them is so at once")]
pub mod resources;

use std::time::Duration;

/// How long anything may take before a test gives up. Long, for machines that are busy; no test waits for it to pass.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `look` finds something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits for something that must happen.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
