//! What is said to a caller in the name of the sidecar: [`reason`] for machines, [`error`] for people.

pub mod error;
pub mod reason;
