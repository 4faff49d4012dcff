//! Whether the sidecar does its work.

use std::time::SystemTime;

/// Whether the sidecar does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet, or no more; this is why.
    Not(String),
    /// It does.
    Ready,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::Not("starting".into())
    }
}

impl Readiness {
    /// What it is at `now`, with a certificate until `certificate_ends`: without a good one, nobody talks to us.
    #[must_use]
    pub fn with_certificate(&self, certificate_ends: Option<SystemTime>, now: SystemTime) -> Self {
        let over = certificate_ends.and_then(|end| now.duration_since(end).ok());
        match (self, over) {
            (Self::Ready, Some(over)) => {
                let seconds = over.as_secs();
                Self::Not(format!("the certificate ended {seconds}s ago, and could not be renewed so far"))
            }
            _ => self.clone(),
        }
    }

    /// What it is when the control plane, for this reason, does not know us: what it changes, we would not hear.
    #[must_use]
    pub fn with_standing(self, why_unknown: Option<String>) -> Self {
        match (self, why_unknown) {
            (Self::Ready, Some(reason)) => {
                Self::Not(format!("the control plane does not know this sidecar any more ({reason})"))
            }
            (readiness, _) => readiness,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_is_ready_without_a_good_certificate() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let draining = Readiness::Not("draining".into());
        let over =
            |seconds| Readiness::Not(format!("the certificate ended {seconds}s ago, and could not be renewed so far"));
        let cases = [
            ("it is good for a while", Readiness::Ready, end - Duration::from_secs(1), Readiness::Ready),
            ("it is just over", Readiness::Ready, end, over(0)),
            ("it has long been over", Readiness::Ready, end + Duration::from_hours(1), over(3600)),
            ("there is another reason", draining.clone(), end, draining),
        ];
        for (sentence, told, now, expected) in cases {
            assert_eq!(told.with_certificate(Some(end), now), expected, "{sentence}");
        }
        assert_eq!(Readiness::Ready.with_certificate(None, end), Readiness::Ready);
    }
}
