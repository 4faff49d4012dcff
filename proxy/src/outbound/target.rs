//! Whom a tunnel is to lead to.

use crate::{
    config::authority::canonical,
    message::{Request, Version, error::ProxyError},
};

/// The port of what is encrypted from end to end: nothing could be routed or judged there.
const HTTPS: u16 = 443;

/// The service to which a CONNECT may have its tunnel: one whose name can be one's, and for HTTP. Many clients ask their
/// proxy for one even to speak plain HTTP; what comes through it is then routed call by call.
pub fn of_tunnel(request: &Request, namespace: &str) -> Result<String, ProxyError> {
    let authority = request.uri().to_string();
    if request.version() != Version::HTTP_11 || request.uri().port_u16() == Some(HTTPS) {
        return Err(ProxyError::Tunnel { authority });
    }
    canonical(&authority, namespace).ok_or(ProxyError::NoService { authority })
}
