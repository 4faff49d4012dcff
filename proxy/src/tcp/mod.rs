//! Connections of bytes that nobody looks into: how they are made, and how they are carried.
//!
//! - [`stream`]: one end of such a connection, over mutual TLS or not
//! - [`reach`]: makes one
//! - [`carry`]: carries what comes at each end to the other; [`glance`]: whom TLS inside of that is for

pub mod carry;
pub mod glance;
pub mod reach;
pub mod stream;
