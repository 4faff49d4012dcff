//! The sidecar of Sluice, as a library: the binary is a thin shell around it, and tests use its parts.
//!
//! The flow: [`xds`] hears what the control plane wants and makes a [`config::Config`] of it; [`inbound`] and
//! [`outbound`] ask that for each request.

pub mod accept;
pub mod admin;
pub mod app;
pub mod backoff;
pub mod burden;
pub mod calls;
pub mod chance;
pub mod child;
pub mod config;
pub mod descriptors;
pub mod drain;
pub mod durable;
pub mod env;
pub mod error;
pub mod gate;
pub mod health;
pub mod http;
pub mod identity;
pub mod inbound;
pub mod ledger;
pub mod link;
pub mod listeners;
pub mod log;
pub mod metrics;
pub mod orphans;
pub mod outbound;
pub mod program;
pub mod proto;
pub mod published;
pub mod record;
pub mod registration;
pub mod service_links;
pub mod shares;
pub mod signals;
pub mod sockets;
pub mod spiffe;
pub mod standing;
pub mod state_dir;
pub mod terminal;
pub mod upstream;
pub mod users;
pub mod wall_clock;
pub mod worker;
pub mod xds;
