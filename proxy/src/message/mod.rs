//! What is said to a caller in the name of the sidecar.

pub mod error;
