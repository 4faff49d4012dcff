//! Why no response came, and whether the request may go elsewhere for that.

use std::io;

use crate::message::{Request, Response, answer::BadAnswer, error::ProxyError};

/// Why no response came.
pub enum Failure {
    /// Nobody did anything with the request, and it is as it was: it may go elsewhere.
    Untouched(Box<Request>, Untouched),
    /// It broke when the request was on its way.
    Broken(String),
    /// What came is no answer.
    BadAnswer(BadAnswer),
    /// Nothing moved for too long.
    StoodStill,
}

/// Why nobody did anything with a request.
pub enum Untouched {
    /// No connection could be had.
    NoConnection(ConnectFault),
    /// The other side would not look at it.
    Refused(String),
    /// The sidecar there says so, and this is what it answers.
    Told(Box<Response>),
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectFault {
    /// Nobody listens there, or the way is barred.
    Refused(io::Error),
    /// Nobody answers.
    Timeout,
    /// The other side could not prove who it is, or does not believe who we are.
    Tls(io::Error),
    /// The other side hung up before anything was said.
    Closed,
}

impl Failure {
    /// What the caller hears of `whom` when nothing further is tried.
    pub fn into_answer(self, whom: &str) -> Result<Response, ProxyError> {
        match self {
            Self::Untouched(_, why) => why.into_answer(whom),
            Self::Broken(reason) => Err(ProxyError::Reset { whom: whom.into(), reason }),
            Self::BadAnswer(fault) => Err(ProxyError::BadAnswer { whom: whom.into(), fault }),
            Self::StoodStill => Err(ProxyError::Idle),
        }
    }
}

impl Untouched {
    /// What the caller hears of `whom` when nothing further is tried.
    pub fn into_answer(self, whom: &str) -> Result<Response, ProxyError> {
        let whom = whom.to_owned();
        Err(match self {
            Self::Told(response) => return Ok(*response),
            Self::Refused(reason) => ProxyError::Refused { whom, reason },
            Self::NoConnection(ConnectFault::Refused(source)) => ProxyError::Connect { whom, source },
            Self::NoConnection(ConnectFault::Timeout) => ProxyError::ConnectTimeout { whom },
            Self::NoConnection(ConnectFault::Tls(source)) => ProxyError::Tls { whom, source },
            Self::NoConnection(ConnectFault::Closed) => {
                let reason = "it hung up before anything was said".into();
                ProxyError::Refused { whom, reason }
            }
        })
    }
}
