//! How a sidecar comes to have an identity: it trades a join token, once, for a certificate.

use std::time::Duration;

use tonic::{Code, Request, Status, transport::Channel};
use tracing::info;

use super::{
    credentials::{Credentials, Material, Unfit},
    request::SigningRequest,
};
use crate::control::{
    link::reason,
    proto::{Certificate, JoinRequest, enrolment_client::EnrolmentClient},
};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Trying again is of no use.
    #[error("the join token is wrong, used or expired; make a new one with `sluice token join`")]
    Refused,
    /// Trying again is.
    #[error("the control plane cannot be asked: {}", reason(.0))]
    Unreachable(Box<Status>),
    /// There is nobody to believe.
    #[error("it is not known which mesh to join: {0}")]
    Anchors(String),
    /// What came is of no use.
    #[error("the control plane sent an identity that cannot be used: {0}")]
    Unfit(#[from] Unfit),
    /// The answer lacks something.
    #[error("the control plane sent no certificate")]
    Nothing,
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

impl JoinError {
    /// Whether the next try may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            // What the control plane says of the request itself, it will say again.
            Self::Unreachable(status) => !matches!(status.code(), Code::InvalidArgument | Code::Unimplemented),
            _ => false,
        }
    }

    /// Whether nothing was heard for as long as one waits.
    pub fn took_too_long(&self) -> bool {
        matches!(self, Self::Unreachable(status) if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled))
    }
}

/// Trades `token` for an identity. Whoever tries again does so with the same request: should the token have been used up by an
/// answer that was lost, it is as good as before for the key that it was used by.
pub async fn join(channel: Channel, token: &str, signing: &SigningRequest) -> Result<Credentials, JoinError> {
    let SigningRequest { key, request } = signing.clone();
    let mut request = Request::new(JoinRequest { token: token.to_owned(), signing_request: request });
    request.set_timeout(DEADLINE);
    let response = EnrolmentClient::new(channel).join(request).await.map_err(|status| match status.code() {
        Code::PermissionDenied => JoinError::Refused,
        _ => JoinError::Unreachable(Box::new(status)),
    })?;
    let response = response.into_inner();
    let Certificate { chain, trust_anchors, .. } = response.certificate.ok_or(JoinError::Nothing)?;
    let (namespace, name) = (response.namespace, response.name);
    info!(namespace, name, enrolment = response.enrolment, "the control plane has enrolled this sidecar");
    Ok(Credentials::new(Material { namespace, name, key, chain, anchors: trust_anchors })?)
}
