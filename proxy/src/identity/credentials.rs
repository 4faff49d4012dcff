//! What the sidecar proves itself with, and the TLS settings made of it. TLS 1.3 only, X25519MLKEM768 preferred, and no
//! resumption: each connection proves both sides anew.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use super::{
    leaf::Leaf,
    proof::Side,
    verify::{CallerVerifier, Expected, ServerVerifier, believe_server},
};

/// ALPN ids (RFC 7301).
pub const HTTP_2: &[u8] = b"h2";
/// ALPN ids (RFC 7301).
pub const HTTP_1: &[u8] = b"http/1.1";
/// Between sidecars: bytes, whatever they mean. No registry has it, and nobody else speaks it.
pub const BYTES: &[u8] = b"sluice-tcp";

/// A key, the chain that vouches for it, and whom it believes. DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The namespace of the workload.
    pub namespace: String,
    /// The name of the workload.
    pub name: String,
    /// PKCS#8. It never leaves this machine.
    pub key: Vec<u8>,
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Every trust anchor of the mesh.
    pub anchors: Vec<Vec<u8>>,
}

/// Why material is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is no certificate.
    #[error("there is no certificate in the chain")]
    NoLeaf,
    /// The leaf is nobody's.
    #[error(transparent)]
    NoIdentity(#[from] super::leaf::NoIdentity),
    /// Key, chain or anchors are broken, or do not belong together.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The anchors cannot vouch for anybody.
    #[error("the trust anchors cannot be used: {0}")]
    Anchors(String),
}

/// Who this sidecar is, ready for use. Replaced whole when the certificate is renewed.
pub struct Credentials {
    /// What they are made of.
    pub material: Material,
    /// What the leaf says.
    pub leaf: Leaf,
    /// For connections that are accepted, and carry requests.
    pub server: Arc<ServerConfig>,
    /// For those that carry bytes.
    pub server_of_bytes: Arc<ServerConfig>,
    callers: Arc<CallerVerifier>,
    anchors: Arc<RootCertStore>,
    anchors_mark: u64,
    key: Arc<CertifiedKey>,
}

impl Credentials {
    /// Checks that the parts belong together.
    pub fn new(material: Material) -> Result<Self, Unfit> {
        let leaf = Leaf::read(material.chain.first().ok_or(Unfit::NoLeaf)?)?;
        let anchors = anchors(&material.anchors)?;
        let chain = material.chain.iter().cloned().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(material.key.clone()));
        let key = Arc::new(CertifiedKey::from_der(chain, key, provider())?);
        let verifier = CallerVerifier::new(anchors.clone(), leaf.id.clone(), provider().clone())
            .map_err(|error| Unfit::Anchors(error.to_string()))?;
        let callers = Arc::new(verifier);
        let mut server = ServerConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(callers.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
        server.alpn_protocols = vec![HTTP_2.into(), HTTP_1.into()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut server_of_bytes = server.clone();
        server_of_bytes.alpn_protocols = vec![BYTES.into()];
        let (server, server_of_bytes) = (Arc::new(server), Arc::new(server_of_bytes));
        let anchors_mark = mark(&material.anchors);
        Ok(Self { material, leaf, server, server_of_bytes, callers, anchors, anchors_mark, key })
    }

    /// The same for the same anchors, and for others, but for an accident that nobody lives to see, another.
    pub const fn anchors_mark(&self) -> u64 {
        self.anchors_mark
    }

    /// Whether `chain`, leaf first, is believed at `now`: that it is somebody's of our mesh. Who, was seen when it came.
    pub fn believes(&self, side: Side, chain: &[CertificateDer<'_>], now: SystemTime) -> bool {
        let Some((leaf, intermediates)) = chain.split_first() else { return false };
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        match side {
            Side::Caller => self.callers.verify_client_cert(leaf, intermediates, now).is_ok(),
            Side::Server => believe_server(leaf, intermediates, &self.anchors, now, provider()).is_ok(),
        }
    }

    /// For a connection to a server that must be `expected`.
    pub fn client(&self, expected: Expected, protocol: &[u8]) -> Result<Arc<ClientConfig>, rustls::Error> {
        let builder = client_builder(self.anchors.clone(), expected)?;
        let config = builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        Ok(finish(config, protocol))
    }

    /// For a connection to the control plane of the own mesh.
    pub fn control_plane(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let control_plane = self.leaf.id.control_plane_of_same_mesh();
        self.client(Expected::OneOf(Arc::new([control_plane])), HTTP_2)
    }

    /// Whether the certificate is good at `now`.
    pub fn valid_at(&self, now: SystemTime) -> bool {
        (self.leaf.not_before..self.leaf.not_after).contains(&now)
    }

    /// `namespace/name`.
    pub fn workload(&self) -> String {
        format!("{}/{}", self.material.namespace, self.material.name)
    }
}

/// For a connection to a control plane by somebody who is nobody yet.
pub fn newcomer(trusted: &[Vec<u8>]) -> Result<Arc<ClientConfig>, Unfit> {
    let builder = client_builder(anchors(trusted)?, Expected::SomeControlPlane)?;
    Ok(finish(builder.with_no_client_auth(), HTTP_2))
}

fn client_builder(
    anchors: Arc<RootCertStore>,
    expected: Expected,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, rustls::Error> {
    let verifier = ServerVerifier { anchors, expected, provider: provider().clone() };
    let builder = ClientConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// What a server is called in a handshake that names none: it is known by its certificate alone.
pub fn server_name(ip: IpAddr) -> ServerName<'static> {
    ServerName::IpAddress(ip.into())
}

fn finish(mut config: ClientConfig, protocol: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.into()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Arc::new(config)
}

fn anchors(trusted: &[Vec<u8>]) -> Result<Arc<RootCertStore>, Unfit> {
    let mut anchors = RootCertStore::empty();
    for der in trusted {
        anchors.add(CertificateDer::from(der.clone()))?;
    }
    if anchors.is_empty() {
        return Err(Unfit::Anchors("there are none".into()));
    }
    Ok(Arc::new(anchors))
}

fn mark(anchors: &[Vec<u8>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    // In whatever order they come, and however often.
    anchors.iter().collect::<BTreeSet<_>>().hash(&mut hasher);
    hasher.finish()
}

fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}
