//! Why a stream ended, and whether that was because the control plane does not know us.

use tonic::Status;

use crate::control::link::{is_unknown_there, reason};

/// Why a stream ended.
pub enum Ended {
    /// There is something wrong.
    Fault(String),
    /// The control plane says that it knows no such sidecar.
    Unknown(String),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        if is_unknown_there(&status) { Self::Unknown(reason(&status)) } else { Self::Fault(reason(&status)) }
    }
}

impl From<&str> for Ended {
    fn from(reason: &str) -> Self {
        Self::Fault(reason.into())
    }
}
