//! Connections of bytes that nobody looks into: how they are made, and how they are carried.
//!
//! - [`stream`]: one end of such a connection, over mutual TLS or not
//! - [`reach`]: makes one
//! - [`carry`]: carries what comes at each end to the other

pub mod carry;
pub mod reach;
pub mod stream;
