//! Reads a leaf certificate: whose it is, and how long it lasts.

use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::base::spiffe::SpiffeId;

/// What a leaf says, once its chain has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whose it is.
    pub id: SpiffeId,
    /// When it begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

/// Why a certificate is nobody's of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    /// It is no certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// X509-SVID §2: exactly one URI SAN.
    #[error("the certificate bears {0} URIs instead of one")]
    NotOneUri(usize),
    /// SPIFFE or not, it is none of a mesh.
    #[error("the certificate bears {0:?}, which is no identity of a mesh")]
    OtherUri(String),
}

impl Leaf {
    /// Reads a leaf, DER.
    pub fn read(der: &[u8]) -> Result<Self, NoIdentity> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NoIdentity::Unreadable)?;
        let names = certificate.subject_alternative_name().map_err(|_| NoIdentity::Unreadable)?;
        if !rest.is_empty() {
            return Err(NoIdentity::Unreadable);
        }
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let uris: Vec<&str> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                // Unreadable names might be URIs: better one too many than one too few.
                GeneralName::Invalid(..) => Some(""),
                _ => None,
            })
            .collect();
        let [uri] = uris.as_slice() else { return Err(NoIdentity::NotOneUri(uris.len())) };
        let id = SpiffeId::parse(uri).ok_or_else(|| NoIdentity::OtherUri((*uri).to_owned()))?;
        let validity = certificate.validity();
        let time =
            |seconds| u64::try_from(seconds).map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        match (time(validity.not_before.timestamp()), time(validity.not_after.timestamp())) {
            (Ok(not_before), Ok(not_after)) => Ok(Self { id, not_before, not_after }),
            _ => Err(NoIdentity::Unreadable),
        }
    }
}
