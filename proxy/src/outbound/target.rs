//! Whom a tunnel is to lead to.

use crate::{
    config::authority::canonical,
    message::{Request, Version, error::ProxyError},
};

/// The port of what is encrypted from end to end: of a service for requests, nothing could be routed or judged there.
const HTTPS: u16 = 443;

/// The service to which a CONNECT may have its tunnel: one whose name can be one's.
pub fn of_tunnel(request: &Request, namespace: &str) -> Result<String, ProxyError> {
    let authority = request.uri().to_string();
    if request.version() != Version::HTTP_11 {
        return Err(ProxyError::Tunnel { authority });
    }
    canonical(&authority, namespace).ok_or(ProxyError::NoService { authority })
}

/// Whether a CONNECT means what is encrypted from end to end.
pub fn is_https(request: &Request) -> bool {
    request.uri().port_u16() == Some(HTTPS)
}
