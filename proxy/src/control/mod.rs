//! What is said to the control plane, and what it says. Nothing here is on the way of a request.
//!
//! - [`link`]: the connection; [`proto`]: the messages that are ours
//! - [`xds`]: what is to be obeyed
//! - [`registration`], [`health`]: where the workload is, and how it fares; [`standing`]: whether the control plane knows us

pub mod health;
pub mod link;
pub mod proto;
pub mod registration;
pub mod standing;
pub mod xds;
