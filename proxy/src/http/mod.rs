//! The HTTP engine, behind a narrow seam: a request head with a streaming body in, a response head with a streaming
//! body out. Today hyper does the work; nothing outside of this folder may know that.
//!
//! - [`serve`]: the server's side of a connection, both versions on one port
//! - [`Connection`]: the client's side; [`Replay`]: a request that may have to be sent once more
//! - [`Body`]: bytes and trailers on their way, never collected; [`Activity`]: whether they move
//! - [`Tunnel`]: a connection inside of a connection
//! - [`head`]: what a request has to be before anybody acts on it; [`headers`]: what must not be passed on

mod activity;
mod attend;
mod body;
mod bounds;
mod client;
pub mod head;
pub mod headers;
mod replay;
mod rewind;
mod server;
mod tunnel;

pub use activity::Activity;
pub use body::{Body, BodyError};
pub use client::{Connection, Pings, SendFailure};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
pub use replay::Replay;
pub use server::{ServerSettings, serve, serve_until};
pub use tunnel::Tunnel;

/// A request whose body is still coming.
pub type Request = http::Request<Body>;

/// A response whose body is still coming.
pub type Response = http::Response<Body>;
