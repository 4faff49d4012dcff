//! HTTP/2, of which `h2` does the protocol. What it buffers is counted where it is read from the connection (`intake`, which
//! reads heads of `frames`), so that there is a bound for the process.

mod client;
mod date;
mod frames;
mod incoming;
mod intake;
mod pings;
mod pump;
mod server;

pub(super) use client::Sender;
pub(super) use incoming::kept;
pub(super) use server::Server;
