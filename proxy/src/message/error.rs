//! Why a request failed, with what people are told of it. What machines know of that is its [`Reason`].

mod telling;

use std::{borrow::Cow, io};

use crate::{
    base::spiffe::SpiffeId,
    config::{inbound::Unjudgeable, path::BadPath},
};

pub use telling::{Audience, options};

use super::{answer::BadAnswer, edits::Unwritable, head::BadHead, reason::Reason};

/// Why a request failed here. The text is for the caller's people as well, where the caller may know.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// The path cannot be judged.
    #[error(transparent)]
    BadPath(BadPath),
    /// The body is framed in a way that is not understood here.
    #[error("{0}")]
    TransferCoding(BadHead),
    /// The body broke off before its end, or is none.
    #[error("the body of the request broke off, or cannot be read")]
    BadBody,
    /// A request was to be shown how it came here (RFC 9110 §9.3.8), and that may be a secret.
    #[error("this sidecar is the last hop (Max-Forwards), and shows nobody what it was sent")]
    NoTrace,
    /// A tunnel was asked for that cannot be had.
    #[error(
        "this sidecar has no tunnel to {authority}; call http://, not https://: the connection between sidecars is encrypted"
    )]
    Tunnel {
        /// Where to.
        authority: String,
    },
    /// A request was made to what carries bytes.
    #[error(
        "{authority} carries bytes, and no requests: ask for a tunnel to it (CONNECT), or have a port forwarded (sluice run --forward)"
    )]
    CarriesBytes {
        /// Where to.
        authority: String,
    },
    /// A connection of bytes was made to what carries requests.
    #[error("{authority} carries requests, which are called by its name: only ports of TCP and TLS are forwarded")]
    CarriesRequests {
        /// Where to.
        authority: String,
    },
    /// Nobody is called so.
    #[error(
        "there is no service {authority} in the mesh (a service is called `name`, `name.namespace` or `name.namespace:port`), \
         and this sidecar leads nowhere else"
    )]
    NoService {
        /// As it was called.
        authority: String,
    },
    /// The service is there, but not for this.
    #[error("no route of {authority} takes a call to {path}")]
    NoRoute {
        /// The service that was called.
        authority: String,
        /// What was wanted of it.
        path: String,
    },
    /// A rule, or the lack of one, turns the caller away.
    #[error(transparent)]
    Denied(Box<Denial>),
    /// The proof on which the connection rests has ended.
    #[error(
        "the certificate by which this connection was opened has expired; open another one with a fresh certificate"
    )]
    Expired,
    /// The proof on which the connection rests is worth nothing any more.
    #[error(
        "the certificate by which this connection was opened ends at a trust anchor that is no longer trusted; open another one with a fresh certificate"
    )]
    Distrusted,
    /// A split gives a share to what does not exist.
    #[error("{authority} sends a share of its calls to {backend}, which does not exist")]
    MissingBackend {
        /// The service that was called.
        authority: String,
        /// What is missing.
        backend: String,
        /// What its route says to answer.
        status: u16,
    },
    /// The route answers all by itself.
    #[error("{route} answers every call to {authority} with {status}; a split whose weights are all zero does so")]
    RouteAnswers {
        /// The service that was called.
        authority: String,
        /// The object that wants it so.
        route: String,
        /// What it says to answer.
        status: u16,
    },
    /// Nobody there takes calls.
    #[error("no healthy workload stands behind {backend}")]
    NoEndpoint {
        /// What was to be called.
        backend: String,
    },
    /// There are too many requests at once.
    #[error("this sidecar has too many requests in flight")]
    Overloaded,
    /// The control plane has not said what to do, or nothing that could be obeyed.
    #[error("this sidecar has no configuration for {of}: {why}")]
    NoConfiguration {
        /// Of what.
        of: String,
        /// Why not.
        why: &'static str,
    },
    /// The endpoint does not take connections.
    #[error("cannot connect to {whom}: {source}")]
    Connect {
        /// Whom, in words: its address is nobody's business.
        whom: String,
        /// Why.
        source: io::Error,
    },
    /// The endpoint does not answer.
    #[error("connecting to {whom} took too long")]
    ConnectTimeout {
        /// Whom, in words.
        whom: String,
    },
    /// The endpoint could not prove who it is, or would not believe who we are.
    #[error("no mutual TLS with {whom}: {source}")]
    Tls {
        /// Whom, in words.
        whom: String,
        /// Why.
        source: io::Error,
    },
    /// The endpoint would not look at the request.
    #[error("{whom} refused the request without looking at it: {reason}")]
    Refused {
        /// Who, in words.
        whom: String,
        /// Why.
        reason: String,
    },
    /// The connection broke when the request was on its way.
    #[error("{whom} broke the connection off: {reason}")]
    Reset {
        /// Who, in words.
        whom: String,
        /// Why.
        reason: String,
    },
    /// What came back is no answer.
    #[error("{whom} gave no answer that can be passed on: {fault}")]
    BadAnswer {
        /// Who, in words.
        whom: String,
        /// Why not.
        fault: BadAnswer,
    },
    /// Nothing moved for too long.
    #[error("nothing has moved for too long")]
    Idle,
}

impl From<BadHead> for ProxyError {
    fn from(bad: BadHead) -> Self {
        if bad.reason() == Reason::TransferCoding {
            return Self::TransferCoding(bad);
        }
        Self::BadRequest(bad.to_string().into())
    }
}

impl From<Unwritable> for ProxyError {
    fn from(unwritable: Unwritable) -> Self {
        Self::BadRequest(unwritable.to_string().into())
    }
}

impl From<Unjudgeable> for ProxyError {
    fn from(unjudgeable: Unjudgeable) -> Self {
        match unjudgeable {
            Unjudgeable::Path(fault) => Self::BadPath(fault),
            Unjudgeable::Method => Self::BadRequest(unjudgeable.to_string().into()),
        }
    }
}

/// Why there is no configuration: nobody has said anything.
pub const NOT_TOLD: &str = "the control plane has not answered";
/// Why there is no configuration: what was said is of no use.
pub const NOT_OBEYED: &str = "what the control plane sent cannot be obeyed; /config on its admin port says why";

/// Who may not do what, and why.
#[derive(Debug, thiserror::Error)]
#[error("{caller} may not {method} {path} at {workload}: {why}")]
pub struct Denial {
    /// Who called.
    pub caller: Caller,
    /// What it wanted to do.
    pub method: String,
    /// What it wanted to do it to.
    pub path: String,
    /// Whom it called: `namespace/name`.
    pub workload: String,
    /// Why not, in words.
    pub why: String,
    /// The rule that denies.
    pub rule: Option<String>,
    /// The policies of which none names the caller.
    pub closed_by: Vec<String>,
}

/// Who called.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Somebody of the mesh.
    Proven(SpiffeId),
    /// Who did not say.
    Unproven,
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proven(id) => id.fmt(f),
            Self::Unproven => f.write_str("a caller without an identity"),
        }
    }
}

impl ProxyError {
    /// What machines know of it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::BadRequest(_) => Reason::BadRequest,
            Self::BadPath(_) => Reason::BadPath,
            Self::TransferCoding(_) => Reason::TransferCoding,
            Self::BadBody => Reason::BadBody,
            Self::NoTrace => Reason::NoTrace,
            Self::Tunnel { .. } => Reason::Tunnel,
            Self::CarriesBytes { .. } => Reason::CarriesBytes,
            Self::CarriesRequests { .. } => Reason::CarriesRequests,
            Self::NoService { .. } => Reason::NoService,
            Self::NoRoute { .. } => Reason::NoRoute,
            Self::Denied(_) => Reason::Denied,
            Self::Expired => Reason::Expired,
            Self::Distrusted => Reason::Distrusted,
            Self::MissingBackend { status, .. } => Reason::MissingBackend(*status),
            Self::RouteAnswers { status, .. } => Reason::RouteAnswers(*status),
            Self::NoEndpoint { .. } => Reason::NoEndpoint,
            Self::Overloaded => Reason::Overloaded,
            Self::NoConfiguration { .. } => Reason::NoConfiguration,
            Self::Connect { .. } => Reason::Connect,
            Self::ConnectTimeout { .. } => Reason::ConnectTimeout,
            Self::Tls { .. } => Reason::Tls,
            Self::Refused { .. } => Reason::Refused,
            Self::Reset { .. } => Reason::Reset,
            Self::BadAnswer { .. } => Reason::BadAnswer,
            Self::Idle => Reason::Idle,
        }
    }
}

#[cfg(test)]
mod tests;
