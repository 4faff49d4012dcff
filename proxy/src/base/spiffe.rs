//! Who somebody is: a SPIFFE id of the mesh's one shape, parsed once and then trusted.

use std::{fmt, sync::Arc};

/// `spiffe://<trust domain>/ns/<namespace>/sa/<account>`. Only [`SpiffeId::parse`] makes one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Where the trust domain ends in `text`.
    trust_domain_end: usize,
}

const SCHEME: &str = "spiffe://";

/// The longest name that is worth reading: a trust domain of 255, two DNS labels, and what stands between them.
const LONGEST: usize = SCHEME.len() + 255 + "/ns/".len() + 63 + "/sa/".len() + 63;

impl SpiffeId {
    /// Reads an id of the mesh's shape; anything else, valid SPIFFE or not, gives `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (trust_domain, path) = text.strip_prefix(SCHEME)?.split_once('/')?;
        let (namespace, account) = path.strip_prefix("ns/")?.split_once("/sa/")?;
        (is_trust_domain(trust_domain) && is_dns_label(namespace) && is_dns_label(account))
            .then(|| Self { text: text.into(), trust_domain_end: SCHEME.len() + trust_domain.len() })
    }

    /// The id of the control plane of the mesh that this id belongs to.
    #[must_use]
    pub fn control_plane_of_same_mesh(&self) -> Self {
        let text = format!("{SCHEME}{}{CONTROL_PLANE_PATH}", self.trust_domain());
        Self { text: text.into(), trust_domain_end: self.trust_domain_end }
    }

    /// Whether this is the control plane of some mesh.
    pub fn is_control_plane(&self) -> bool {
        self.path() == CONTROL_PLANE_PATH
    }

    /// The mesh that vouches for the id.
    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..self.trust_domain_end]
    }

    /// What follows the trust domain: `/ns/<namespace>/sa/<account>`.
    pub fn path(&self) -> &str {
        &self.text[self.trust_domain_end..]
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Where in every mesh its control plane is.
const CONTROL_PLANE_PATH: &str = "/ns/sluice/sa/control-plane";

/// One label of a DNS name (RFC 1123 §2.1): at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit.
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A lower-case DNS name (SPIFFE-ID §2.1, narrowed to what a host name may be).
fn is_trust_domain(text: &str) -> bool {
    text.len() <= 255 && text.split('.').all(is_dns_label)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_shape() {
        let id = SpiffeId::parse("spiffe://sluice.local/ns/shop/sa/web").unwrap();
        assert_eq!((id.trust_domain(), id.path()), ("sluice.local", "/ns/shop/sa/web"));
        assert_eq!(id.control_plane_of_same_mesh().as_str(), "spiffe://sluice.local/ns/sluice/sa/control-plane");
        assert!(id.control_plane_of_same_mesh().is_control_plane());
        assert!(!id.is_control_plane());
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "spiffe://",
            "spiffe://sluice.local",
            "spiffe://sluice.local/",
            "spiffe://sluice.local/ns/shop/sa/",
            "spiffe://sluice.local/ns//sa/web",
            "spiffe://sluice.local/ns/shop/sa/web/",
            "spiffe://sluice.local/ns/shop/sa/web/more",
            "spiffe://sluice.local/ns/shop/other/sa/web",
            "spiffe://Sluice.local/ns/shop/sa/web",
            "spiffe://sluice.local:443/ns/shop/sa/web",
            "spiffe://sluice..local/ns/shop/sa/web",
            "spiffe://sluice.local/ns/shop/sa/-web",
            "spiffe://sluice.local/ns/shop/sa/we%62",
            "https://sluice.local/ns/shop/sa/web",
        ] {
            assert!(SpiffeId::parse(text).is_none(), "{text}");
        }
        let long = format!("spiffe://sluice.local/ns/shop/sa/{}", "a".repeat(64));
        assert!(SpiffeId::parse(&long).is_none());
    }
}
