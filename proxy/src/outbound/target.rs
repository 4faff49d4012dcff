//! Whom a request means: which service bears the name of its host.

use crate::{
    config::authority::canonical,
    message::{
        Method, Request, Version,
        error::ProxyError,
        head::{self, BadHead},
    },
};

/// The canonical authority of the service that a request means.
pub fn authority(request: &Request, namespace: &str) -> Result<String, ProxyError> {
    let uri = request.uri();
    if request.method() == Method::CONNECT {
        return Err(ProxyError::Tunnel { authority: uri.to_string() });
    }
    let host = head::read(request)?.ok_or(BadHead::NoHost)?;
    if uri.scheme_str().is_some_and(|scheme| scheme == "https") {
        let advice = "call http://, not https://: the connection between sidecars is encrypted";
        return Err(ProxyError::BadRequest(advice.into()));
    }
    canonical(host, namespace).ok_or_else(|| ProxyError::NoService { authority: host.to_owned() })
}

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
