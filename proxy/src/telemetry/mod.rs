//! What is counted and what is said of it: one record a request, one a connection of bytes, metrics, the log.

pub mod connection;
pub mod connections;
pub mod log;
pub mod metrics;
pub mod record;
