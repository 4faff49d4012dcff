//! The sidecar of Sluice, as a library: the binary is a thin shell around it, and tests use its parts.
//!
//! The flow: [`xds`] hears what the control plane wants and makes a [`config::Config`] of it; [`inbound`] and
//! [`outbound`] ask that for each request.

pub mod backoff;
pub mod config;
pub mod durable;
pub mod http;
pub mod identity;
pub mod link;
pub mod metrics;
pub mod proto;
pub mod published;
pub mod spiffe;
pub mod xds;
