//! Hears what the control plane wants: standard xDS v3, delta, over one aggregated stream.

pub mod decode;
pub mod kind;
