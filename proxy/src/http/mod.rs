//! The HTTP engine, behind a narrow seam: a request head with a streaming body in, a response head with a streaming
//! body out (`message`). Today hyper and h2 do the work; nothing outside of this folder may know that.
//!
//! - [`serve`]: the server's side of a connection, both versions on one port
//! - [`Connection`]: the client's side
//! - [`Tunnel`]: a connection inside of a connection
//! - `http2`: HTTP/2; HTTP/1.1 is hyper's, and `incoming` are its bodies
//! - `leave`: whether a body is wanted; `linger`: how the last answer arrives

mod attend;
mod bounds;
mod client;
mod http2;
mod incoming;
mod interim;
mod leave;
mod linger;
mod rewind;
mod server;
mod tunnel;

pub use client::{Connection, HungUp, Pings, SendFailure};
pub use server::{Ended, ServerSettings, serve, serve_until};
pub use tunnel::Tunnel;
