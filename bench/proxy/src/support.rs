//! What the sidecar's own tests stand on, for a mesh without a real control plane: its speed is not measured here.

use std::time::Duration;

#[path = "../../../proxy/tests/support/control_plane.rs"]
pub mod control_plane;
#[path = "../../../proxy/tests/support/pki.rs"]
pub mod pki;
#[allow(clippy::unnecessary_wraps, reason = "as in the tests")]
#[path = "../../../proxy/tests/support/resources.rs"]
pub mod resources;

/// How long anything may take. Under valgrind, a start takes half a minute.
const DEADLINE: Duration = Duration::from_mins(3);

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
