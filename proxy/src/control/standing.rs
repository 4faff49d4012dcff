//! Whether the control plane knows this sidecar. It may have been evicted, or another one may have joined anew as the same
//! workload. It serves on as it was told last, but is not ready, and asks again until it is known.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

/// What a sidecar says to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// What it wants to be told.
    Stream,
    /// Where it is, and how it fares.
    Report,
}

/// How the control plane took the last of each.
#[derive(Debug, Default)]
pub struct Standing(Mutex<[Option<String>; 2]>);

impl Standing {
    /// It was taken.
    pub fn known(&self, said: Said) {
        let mut reasons = self.reasons();
        let gone = reasons[said as usize].take().is_some();
        if gone && reasons.iter().all(Option::is_none) {
            info!("the control plane knows this sidecar again");
        }
    }

    /// It was turned away, because the control plane knows no such sidecar.
    pub fn unknown(&self, said: Said, reason: String) {
        let mut reasons = self.reasons();
        if reasons.iter().all(Option::is_none) {
            warn!(
                reason,
                "the control plane does not know this sidecar any more; serving what is held, not ready, asking again"
            );
        }
        reasons[said as usize] = Some(reason);
    }

    /// Why the control plane does not know us.
    pub fn why_unknown(&self) -> Option<String> {
        self.reasons().iter().flatten().next().cloned()
    }

    fn reasons(&self) -> MutexGuard<'_, [Option<String>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_turned_away_is_unknown_until_all_that_it_says_is_taken() {
        let standing = Standing::default();
        assert_eq!(standing.why_unknown(), None);
        standing.unknown(Said::Report, "evicted".into());
        standing.known(Said::Stream);
        assert_eq!(standing.why_unknown().as_deref(), Some("evicted"));
        standing.unknown(Said::Stream, "gone".into());
        standing.known(Said::Report);
        assert_eq!(standing.why_unknown().as_deref(), Some("gone"));
        standing.known(Said::Stream);
        assert_eq!(standing.why_unknown(), None);
    }
}
