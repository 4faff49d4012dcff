//! What comes before the answer (1xx): some of it, and no more.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use tokio::sync::Notify;

use super::bounds::{INTERIM_BYTES, MOST_INTERIM};

/// How much has come before an answer.
#[derive(Debug, Default)]
pub(super) struct Interim {
    count: AtomicUsize,
    bytes: AtomicUsize,
    too_much: Notify,
}

impl Interim {
    /// One more has come. Whether that is too much.
    pub(super) fn one_more(&self, headers: &HeaderMap) -> bool {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let too_much = count > MOST_INTERIM || bytes > INTERIM_BYTES;
        if too_much {
            self.too_much.notify_one();
        }
        too_much
    }

    /// Returns when it is too much.
    pub(super) async fn too_much(&self) {
        self.too_much.notified().await;
    }
}
