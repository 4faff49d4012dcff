//! Who the other side of a connection is: its chain must end at a trust anchor of the mesh, and its leaf must bear one
//! SPIFFE id, the right one. No name of a host is ever looked at.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::leaf::{Leaf, NoIdentity};
use crate::base::spiffe::SpiffeId;

/// Who the server must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The control plane of whatever mesh the anchors vouch for: how a newcomer meets its mesh.
    SomeControlPlane,
    /// One of these.
    OneOf(Arc<[SpiffeId]>),
}

/// Why a peer whose chain is good is turned away all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPeer {
    /// It is nobody of a mesh.
    #[error(transparent)]
    Nobody(#[from] NoIdentity),
    /// It is somebody else.
    #[error("the server is {is}, and not {wanted}")]
    SomebodyElse {
        /// Who it proved to be.
        is: SpiffeId,
        /// Who it ought to be.
        wanted: String,
    },
    /// It is of another mesh, which our anchors happen to vouch for.
    #[error("the caller is {0}, of another mesh")]
    OtherMesh(SpiffeId),
}

impl From<WrongPeer> for Error {
    fn from(wrong: WrongPeer) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong))))
    }
}

/// Verifies servers.
#[derive(Debug)]
pub struct ServerVerifier {
    /// The trust anchors of the mesh.
    pub anchors: Arc<RootCertStore>,
    /// Who the server must be.
    pub expected: Expected,
    /// The cryptography.
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        believe_server(end_entity, intermediates, &self.anchors, now, &self.provider)?;
        let is = Leaf::read(end_entity).map_err(WrongPeer::from)?.id;
        let wanted = match &self.expected {
            Expected::SomeControlPlane if is.is_control_plane() => return Ok(ServerCertVerified::assertion()),
            Expected::OneOf(ids) if ids.contains(&is) => return Ok(ServerCertVerified::assertion()),
            Expected::SomeControlPlane => "a control plane".to_owned(),
            Expected::OneOf(ids) => ids.iter().map(SpiffeId::as_str).collect::<Vec<_>>().join(" or "),
        };
        Err(WrongPeer::SomebodyElse { is, wanted }.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether the chain of a server ends at one of the `anchors`.
pub fn believe_server(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &RootCertStore,
    now: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(end_entity)?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&certificate, anchors, intermediates, now, algorithms)
}

/// Verifies callers.
#[derive(Debug)]
pub struct CallerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    /// Somebody of our own mesh: callers must be of the same.
    us: SpiffeId,
}

impl CallerVerifier {
    /// Callers must be of the mesh of `us`, as `anchors` vouch.
    pub fn new(
        anchors: Arc<RootCertStore>,
        us: SpiffeId,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        // Hints would only help who holds several certificates, and tell everybody which anchors there are.
        let chain = WebPkiClientVerifier::builder_with_provider(anchors, provider).clear_root_hint_subjects();
        Ok(Self { chain: chain.build()?, us })
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let id = Leaf::read(end_entity).map_err(WrongPeer::from)?.id;
        if id.trust_domain() == self.us.trust_domain() { Ok(verified) } else { Err(WrongPeer::OtherMesh(id).into()) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Why a caller was turned away, as it is counted.
pub fn refusal_reason(error: &io::Error) -> &'static str {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match error {
        Some(Error::NoCertificatesPresented) => "no_certificate",
        Some(Error::InvalidCertificate(fault)) => match fault {
            // A bad signature is that of another issuer of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => "unknown_issuer",
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => "expired",
            CertificateError::Other(_) => "bad_identity",
            _ => "other",
        },
        _ => "other",
    }
}

/// The same fault in words for people. TLS libraries print what others put into their errors as if it were code.
pub fn in_words(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(wrong)))) => {
            io::Error::other(wrong.to_string())
        }
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            io::Error::other("the other side does not carry this protocol at that port (yet)")
        }
        _ => error,
    }
}
