//! What whoever begins a TLS connection says first, in the clear: whom it means, and what it would carry. Nothing is opened.

use rustls::server::Acceptor;

/// As much of it as is ever looked at, in bytes.
pub const LONGEST: usize = 16 << 10;

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// Not all of it yet.
    Begun,
    /// No TLS, or none that can be read.
    Unreadable,
    /// All of it.
    Said {
        /// Whom it means (SNI); none: it does not say.
        name: Option<String>,
        /// What it would carry (ALPN); none: it does not say.
        protocols: Vec<Vec<u8>>,
    },
}

impl Hello {
    /// What `bytes`, the first of a connection, say.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut acceptor = Acceptor::default();
        while !bytes.is_empty() {
            if !matches!(acceptor.read_tls(&mut bytes), Ok(1..)) {
                return Self::Unreadable;
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let protocols = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
                    return Self::Said { name: hello.server_name().map(str::to_owned), protocols };
                }
                Err(_) => return Self::Unreadable,
            }
        }
        Self::Begun
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &'static str, protocols: &[&[u8]]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn it_is_read_once_all_of_it_has_come_and_never_before() {
        let said = |name: Option<&str>, protocols: &[&[u8]]| Hello::Said {
            name: name.map(str::to_owned),
            protocols: protocols.iter().map(|protocol| protocol.to_vec()).collect(),
        };
        let named = hello("vault.shop", &[b"h2"]);
        assert_eq!(Hello::read(&named), said(Some("vault.shop"), &[b"h2"]));
        assert_eq!(Hello::read(&hello("10.0.0.1", &[])), said(None, &[]));
        for length in 0..named.len() {
            assert_eq!(Hello::read(&named[..length]), Hello::Begun, "{length}");
        }
        for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", &[0; 64]] {
            assert_eq!(Hello::read(other), Hello::Unreadable, "{other:?}");
        }
    }
}
