//! Whom a request means: by the authority in its target (absolute form, `:authority`), or by its Host.

use crate::{
    config::authority::canonical,
    error::ProxyError,
    http::{Method, Request, Version, header},
};

/// The canonical authority of the service that a request means.
pub fn authority(request: &Request, namespace: &str) -> Result<String, ProxyError> {
    let uri = request.uri();
    if request.method() == Method::CONNECT {
        return Err(ProxyError::Tunnel { authority: uri.to_string() });
    }
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => host(request)?,
    };
    if uri.scheme_str().is_some_and(|scheme| scheme == "https") {
        let advice = "call http://, not https://: the connection between sidecars is encrypted";
        return Err(ProxyError::BadRequest(advice.into()));
    }
    canonical(host, namespace).ok_or_else(|| ProxyError::NoService { authority: host.to_owned() })
}

/// The port of what is encrypted from end to end: nothing could be routed or judged there.
const HTTPS: u16 = 443;

/// Whether a CONNECT may have its tunnel: to a name that a service can have, and for HTTP. Many clients ask their proxy
/// for one even to speak plain HTTP; what comes through it is then routed call by call.
pub fn admits_tunnel(request: &Request, namespace: &str) -> Result<(), ProxyError> {
    let authority = request.uri().to_string();
    if request.version() != Version::HTTP_11 || request.uri().port_u16() == Some(HTTPS) {
        return Err(ProxyError::Tunnel { authority });
    }
    canonical(&authority, namespace).map(drop).ok_or(ProxyError::NoService { authority })
}

/// RFC 9112 §3.2: exactly one.
fn host(request: &Request) -> Result<&str, ProxyError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) => Ok(host),
        (None, _) => Err(ProxyError::BadRequest("the request names no host".into())),
        _ => Err(ProxyError::BadRequest("the request has no one readable Host".into())),
    }
}
