//! The sidecar of Sluice, as a library: the binary is a thin shell around it, and tests use its parts.
//!
//! The flow: [`control::xds`] hears what the control plane wants and makes a [`config::Snapshot`] of it; [`inbound`]
//! and [`outbound`] ask that for each request, and [`exchange`] does what is to be done.
//!
//! - [`app`]: settings, start, serve, end; [`admin`]: what people see
//! - [`control`]: the control plane; [`identity`]: who we are; [`host`]: the machine and the program
//! - [`config`]: what is in force, and what it means for a request; pure
//! - [`net`], [`http`]: connections; [`message`]: what passes over them, and what a sidecar says itself
//! - [`tcp`]: what is not HTTP, as bytes
//! - [`inbound`], [`outbound`]: the two doors; [`exchange`]: what is between them; [`telemetry`]: what is known afterwards
//! - [`base`]: words and tools that everybody uses

pub mod admin;
pub mod app;
pub mod base;
pub mod config;
pub mod control;
pub mod exchange;
pub mod host;
pub mod http;
pub mod identity;
pub mod inbound;
pub mod message;
pub mod net;
pub mod outbound;
pub mod tcp;
pub mod telemetry;
