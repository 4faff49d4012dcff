//! A certificate authority for one mesh: a trust anchor, an issuer, and leaves good and bad.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use sluice_proxy::identity::credentials::{Credentials, Material};

pub const TRUST_DOMAIN: &str = "sluice.local";

/// Vouches for the members of one mesh.
pub struct Pki {
    anchor: Vec<u8>,
    anchor_pem: String,
    issuer: Issuer<'static, KeyPair>,
    issuer_der: Vec<u8>,
}

/// What a leaf says.
pub struct Leaf {
    pub uris: Vec<String>,
    /// The enrolment, as a name of DNS.
    pub enrolment: Option<String>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Leaf {
    /// A good one, for a day.
    pub fn of(account: &str) -> Self {
        Self::with_uris(vec![id(account)])
    }

    pub fn with_uris(uris: Vec<String>) -> Self {
        let now = SystemTime::now();
        Self {
            uris,
            enrolment: None,
            not_before: now - Duration::from_mins(1),
            not_after: now + Duration::from_hours(24),
        }
    }

    pub fn expired(account: &str) -> Self {
        let now = SystemTime::now();
        let (not_before, not_after) = (now - Duration::from_hours(2), now - Duration::from_hours(1));
        Self { not_before, not_after, ..Self::of(account) }
    }

    /// A good one that says by which enrolment it came to be.
    pub fn enrolled(account: &str) -> Self {
        let enrolment = Some("01jdkx5t7m.enrolment.sluice.internal".to_owned());
        Self { enrolment, ..Self::of(account) }
    }

    fn parameters(&self) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        self.fill(&mut parameters);
        parameters
    }

    fn fill(&self, parameters: &mut CertificateParams) {
        parameters.distinguished_name = DistinguishedName::new();
        parameters.not_before = self.not_before.into();
        parameters.not_after = self.not_after.into();
        let uris = self.uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap()));
        let enrolment = self.enrolment.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
        parameters.subject_alt_names = uris.chain(enrolment).collect();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    }
}

/// `shop/web` in SPIFFE's words.
pub fn id(account: &str) -> String {
    let (namespace, name) = account.split_once('/').unwrap();
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{name}")
}

impl Pki {
    pub fn new() -> Self {
        let authority = |name: &str| {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            parameters
        };
        let anchor_key = KeyPair::generate().unwrap();
        let anchor_parameters = authority("trust anchor");
        let anchor = anchor_parameters.self_signed(&anchor_key).unwrap();
        let anchor_issuer = Issuer::new(anchor_parameters, anchor_key);
        let issuer_key = KeyPair::generate().unwrap();
        let issuer_parameters = authority("issuer");
        let issuer = issuer_parameters.signed_by(&issuer_key, &anchor_issuer).unwrap();
        Self {
            anchor: anchor.der().to_vec(),
            anchor_pem: anchor.pem(),
            issuer: Issuer::new(issuer_parameters, issuer_key),
            issuer_der: issuer.der().to_vec(),
        }
    }

    pub fn anchor_pem(&self) -> &str {
        &self.anchor_pem
    }

    pub fn anchors(&self) -> Vec<Vec<u8>> {
        vec![self.anchor.clone()]
    }

    /// What somebody called `workload` (`namespace/name`) proves itself with.
    pub fn material(&self, workload: &str, leaf: &Leaf) -> Material {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.parameters().signed_by(&key, &self.issuer).unwrap();
        let (namespace, name) = workload.split_once('/').unwrap();
        Material {
            namespace: namespace.into(),
            name: name.into(),
            key: key.serialize_der(),
            chain: vec![certificate.der().to_vec(), self.issuer_der.clone()],
            anchors: self.anchors(),
        }
    }

    /// A good identity, named like the workload.
    pub fn credentials(&self, workload: &str) -> Credentials {
        Credentials::new(self.material(workload, &Leaf::of(workload))).unwrap()
    }

    /// The same, by who believes these authorities as well.
    pub fn credentials_believing(&self, workload: &str, others: &[&Pki]) -> Credentials {
        let mut material = self.material(workload, &Leaf::of(workload));
        material.anchors.extend(others.iter().flat_map(|other| other.anchors()));
        Credentials::new(material).unwrap()
    }

    /// A chain for the key of a signing request.
    pub fn sign(&self, request: &[u8], leaf: &Leaf) -> Result<Vec<Vec<u8>>, rcgen::Error> {
        let mut request = CertificateSigningRequestParams::from_der(&request.to_vec().into())?;
        leaf.fill(&mut request.params);
        let certificate = request.signed_by(&self.issuer)?;
        Ok(vec![certificate.der().to_vec(), self.issuer_der.clone()])
    }
}
