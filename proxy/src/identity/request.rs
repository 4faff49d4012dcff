//! A new key, and the request for a certificate on it.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

/// A key that nobody vouches for yet.
#[derive(Clone)]
pub struct SigningRequest {
    /// PKCS#8, DER. It stays here.
    pub key: Vec<u8>,
    /// PKCS#10, DER. Nameless: the control plane knows whose it is.
    pub request: Vec<u8>,
}

/// Makes a P-256 key and asks for a certificate on it.
pub fn signing_request() -> Result<SigningRequest, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    let request = parameters.serialize_request(&key)?;
    Ok(SigningRequest { key: key.serialize_der(), request: request.der().to_vec() })
}
