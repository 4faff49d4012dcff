//! Connections, before it is known what they are.

pub mod accept;
pub mod vanish;
