//! Why no response came, and whether the request may go elsewhere for that.

use std::{io, net::SocketAddr};

use crate::{
    error::ProxyError,
    http::{Request, Response},
};

/// Why no response came.
pub enum Failure {
    /// Nobody did anything with the request, and it is as it was: it may go elsewhere.
    Untouched(Box<Request>, Untouched),
    /// It broke when the request was on its way.
    Broken(String),
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
    /// What the caller hears when nothing further is tried.
    pub fn into_answer(self, endpoint: SocketAddr) -> Result<Response, ProxyError> {
        match self {
            Self::Untouched(_, why) => why.into_answer(endpoint),
            Self::Broken(reason) => Err(ProxyError::Reset { endpoint, reason }),
            Self::StoodStill => Err(ProxyError::Idle),
        }
    }
}

impl Untouched {
    /// What the caller hears when nothing further is tried.
    pub fn into_answer(self, endpoint: SocketAddr) -> Result<Response, ProxyError> {
        Err(match self {
            Self::Told(response) => return Ok(*response),
            Self::Refused(reason) => ProxyError::Refused { endpoint, reason },
            Self::NoConnection(ConnectFault::Refused(source)) => ProxyError::Connect { endpoint, source },
            Self::NoConnection(ConnectFault::Timeout) => ProxyError::ConnectTimeout { endpoint },
            Self::NoConnection(ConnectFault::Tls(source)) => ProxyError::Tls { endpoint, source },
            Self::NoConnection(ConnectFault::Closed) => {
                let reason = "it hung up before anything was said".into();
                ProxyError::Refused { endpoint, reason }
            }
        })
    }
}
