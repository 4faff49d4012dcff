//! Who this sidecar is, and who the others are. Keys are made here and never leave.
//!
//! - [`join`]: from a join token to an identity; [`renew`]: from an identity to the next one ([`request`])
//! - [`obtain`]: which of the two it is at the start
//! - [`state`]: where it rests; [`credentials`]: what TLS makes of it
//! - [`verify`], [`leaf`]: who the other side is; [`proof`]: whether that holds still

pub mod credentials;
pub mod hello;
pub mod join;
pub mod leaf;
pub mod obtain;
pub mod proof;
pub mod renew;
pub mod request;
pub mod state;
pub mod verify;
