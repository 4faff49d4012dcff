//! The sidecar of Sluice, as a library: the binary is a thin shell around it, and tests use its parts.
//!
//! The flow: [`xds`] hears what the control plane wants and makes a [`config::Config`] of it; [`inbound`] and
//! [`outbound`] ask that for each request.

pub mod accept;
pub mod backoff;
pub mod config;
pub mod durable;
pub mod error;
pub mod gate;
pub mod http;
pub mod identity;
pub mod inbound;
pub mod link;
pub mod metrics;
pub mod outbound;
pub mod proto;
pub mod published;
pub mod spiffe;
pub mod upstream;
pub mod xds;
