//! The HTTP engine, behind a narrow seam: a request head with a streaming body in, a response head with a streaming
//! body out. Today hyper and h2 do the work; nothing outside of this folder may know
//! that.
//!
//! - [`serve`]: the server's side of a connection, both versions on one port
//! - [`Connection`]: the client's side; [`Replay`]: a request that may have to be sent once more
//! - [`Body`]: bytes and trailers on their way, never collected; [`Activity`]: whether they move
//! - [`Tunnel`]: a connection inside of a connection; [`Upgrade`]: one that goes on in another protocol
//! - [`head`], [`answer`]: what a request and a response have to be before anybody acts on them; [`headers`]: what must
//!   not be passed on
//! - `http2`: HTTP/2; HTTP/1.1 is hyper's
//! - `leave`: whether a body is wanted; `linger`: how the last answer arrives

mod activity;
pub mod answer;
mod attend;
mod body;
mod bounds;
mod client;
pub mod head;
pub mod headers;
mod http2;
mod interim;
mod leave;
mod linger;
mod replay;
mod rewind;
mod server;
mod tunnel;
pub mod upgrade;

pub use activity::Activity;
pub use body::{Body, BodyError};
pub use client::{Connection, HungUp, Pings, SendFailure};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
pub use replay::Replay;
pub use server::{Ended, ServerSettings, serve, serve_until};
pub use tunnel::Tunnel;
pub use upgrade::Upgrade;

/// A request whose body is still coming.
pub type Request = http::Request<Body>;

/// A response whose body is still coming.
pub type Response = http::Response<Body>;
