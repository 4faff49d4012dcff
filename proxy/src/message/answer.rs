//! What an answer has to be before it is passed on: there is one way to read it, and it was asked for.

use http::{HeaderValue, StatusCode};

use super::{
    Response,
    head::{BadHead, framing},
    upgrade::grants,
};

/// Why an answer is not passed on. Whoever gave it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It is not HTTP.
    #[error("its answer cannot be read")]
    Unreadable,
    /// Its body could be taken for what it is not.
    #[error("its answer can be read in two ways: {0}")]
    Ambiguous(BadHead),
    /// 101 to a request that does not ask for this.
    #[error("it switches protocols without being asked")]
    Unasked,
    /// It says wait, and wait, and wait.
    #[error("it gives one interim answer (1xx) after the other")]
    Interim,
}

/// Whether `response` may be passed on. `asked`: the protocols in which the request asked to go on.
pub fn read(response: &Response, asked: Option<&HeaderValue>) -> Result<(), BadAnswer> {
    framing(response.headers()).map_err(BadAnswer::Ambiguous)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !grants(response, asked) {
        return Err(BadAnswer::Unasked);
    }
    Ok(())
}
