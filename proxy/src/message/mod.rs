//! Messages, and what is said of them: nothing here knows which engine reads and writes them (`http` does).
//!
//! - [`Request`], [`Response`]: a head with a body that is still coming; [`Body`]: bytes and trailers on their way, never
//!   collected; [`Activity`]: whether they move; [`Replay`]: a request that may have to be sent once more
//! - [`head`], [`answer`]: what a request and a response have to be before anybody acts on them; [`headers`]: what must
//!   not be passed on; [`edits`]: what is changed; [`upgrade`]: connections that go on in another protocol
//! - [`reason`], [`error`]: what a sidecar says itself, for machines and for people

mod activity;
pub mod answer;
mod body;
pub mod edits;
pub mod error;
pub mod head;
pub mod headers;
pub mod reason;
mod replay;
pub mod upgrade;

pub use activity::{Activity, Deadline};
pub use body::{Body, BodyError, Coming, Leave};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
pub use replay::Replay;

/// A request whose body is still coming.
pub type Request = http::Request<Body>;

/// A response whose body is still coming.
pub type Response = http::Response<Body>;
