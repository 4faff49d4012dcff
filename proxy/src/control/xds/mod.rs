//! Hears what the control plane wants: standard xDS v3, delta, over one aggregated stream.
//!
//! - [`decode`]: resources as they come over the wire, turned into what the evaluator reads, or refused
//! - [`mirror`]: what is held, wanted and waited for; pure ([`table`], [`reply`], `links`)
//! - [`demand`]: which services the program calls, and so which resources are wanted
//! - [`client`]: the stream, the retries, the swap
//! - [`disk`]: the copy from which a sidecar serves that is started again
//! - [`report`]: what of all this people may want to see

pub mod client;
pub mod decode;
pub mod demand;
pub mod disk;
mod ended;
pub mod kind;
mod links;
pub mod mirror;
pub mod reply;
pub mod report;
pub mod table;
