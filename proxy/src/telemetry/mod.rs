//! What is counted and what is said of it: one record a request, metrics, the log.

pub mod log;
pub mod metrics;
pub mod record;
