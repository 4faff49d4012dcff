//! The way on: to endpoints of the mesh by mutual TLS, and to the own program in plaintext, over pooled connections.

mod connect;
mod pool;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    config::cluster::Security,
    http::{
        HeaderValue, Request, Response, SendFailure, Uri, Version,
        head::{self, BadHead},
        header, headers,
    },
    identity::credentials::Credentials,
    metrics::Metrics,
    published::Published,
};

pub use connect::ConnectFault;
use pool::Pool;

/// Where a request goes, and what must be proved there. Connections are shared only by requests that ask for the same:
/// a change of identities never reuses an old connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The endpoint.
    pub address: SocketAddr,
    /// What it has to prove.
    pub security: Security,
    /// What is spoken.
    pub version: Version,
}

/// Why no response came.
pub enum Failure {
    /// No connection could be had. The request is as it was.
    NoConnection(Box<Request>, ConnectFault),
    /// It broke when the request was on its way.
    Broken(String),
}

/// Sends requests to where they are to go.
pub struct Upstream {
    identity: Arc<Published<Credentials>>,
    pool: Arc<Pool>,
}

impl Upstream {
    /// With this identity, which may be renewed. Call it inside of the runtime: it tidies up now and then.
    pub fn new(identity: Arc<Published<Credentials>>, metrics: Arc<Metrics>) -> Self {
        let pool = Arc::new(Pool::new(metrics));
        tokio::spawn(pool::tidy(Arc::downgrade(&pool)));
        Self { identity, pool }
    }

    /// Sends `request` to `target`. A connection that turns out to be closed before anything was sent is replaced.
    pub async fn send(
        &self,
        target: &Target,
        connect_timeout: Duration,
        request: Request,
    ) -> Result<Response, Failure> {
        let mut request = prepare(request, target.version);
        loop {
            let open = |guard| connect::open(target, connect_timeout, self.identity.now(), guard);
            let mut lease = match self.pool.get(target, connect_timeout, open).await {
                Ok(lease) => lease,
                Err(fault) => return Err(Failure::NoConnection(Box::new(request), fault)),
            };
            match lease.connection.send(request).await {
                Ok(response) if head::framing(response.headers()).is_err() => {
                    return Err(Failure::Broken(BadHead::Coding.to_string()));
                }
                Ok(mut response) => {
                    headers::strip(response.headers_mut());
                    *response.version_mut() = Version::HTTP_11;
                    let response = response.map(|body| body.holding(lease.place.clone()));
                    self.pool.give_back(target, lease);
                    return Ok(response);
                }
                Err(SendFailure::Unsent(unsent)) if lease.reused => {
                    self.pool.forget(target, &lease);
                    request = *unsent;
                }
                Err(SendFailure::Unsent(unsent)) => {
                    self.pool.forget(target, &lease);
                    let fault = ConnectFault::Closed;
                    return Err(Failure::NoConnection(unsent, fault));
                }
                Err(SendFailure::Broken(error)) => return Err(Failure::Broken(error.to_string())),
            }
        }
    }
}

/// Writes the head as the other side wants it: the target in the request line or in `:authority`, and nothing that
/// belongs to the connection on which the request came. The host stays as the caller wrote it.
fn prepare(mut request: Request, version: Version) -> Request {
    headers::pass_on(request.headers_mut(), version);
    *request.version_mut() = version;
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // `OPTIONS *` arrives as a path that is no path.
    let path = if path.is_empty() { "/" } else { path };
    let host = match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => request.headers().get(header::HOST).cloned(),
    };
    let next = match (&host, version) {
        (Some(host), Version::HTTP_2) => {
            Uri::builder().scheme("http").authority(host.as_bytes()).path_and_query(path).build()
        }
        _ => path.parse::<Uri>().map_err(Into::into),
    };
    if let Ok(next) = next {
        *request.uri_mut() = next;
    }
    match (host, version) {
        (Some(host), Version::HTTP_11) => drop(request.headers_mut().insert(header::HOST, host)),
        // HTTP/1.0 need not name one, HTTP/1.1 says that there is none (RFC 9112 §3.2).
        (None, Version::HTTP_11) => drop(request.headers_mut().insert(header::HOST, HeaderValue::from_static(""))),
        (_, Version::HTTP_2) => drop(request.headers_mut().remove(header::HOST)),
        _ => {}
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[test]
    fn the_host_stays_and_the_target_takes_its_form() {
        let cases = [
            ("http://Cart.Shop/x?y", Some("other"), Version::HTTP_11, "/x?y", Some("Cart.Shop")),
            ("/x", Some("Cart.Shop"), Version::HTTP_11, "/x", Some("Cart.Shop")),
            ("http://cart.shop", None, Version::HTTP_11, "/", Some("cart.shop")),
            ("/", None, Version::HTTP_11, "/", Some("")),
            ("*", Some("cart"), Version::HTTP_11, "*", Some("cart")),
            ("/x?y", Some("cart.shop"), Version::HTTP_2, "http://cart.shop/x?y", None),
            ("http://cart.shop/x", Some("cart.shop"), Version::HTTP_2, "http://cart.shop/x", None),
        ];
        for (uri, host, version, expected_uri, expected_host) in cases {
            let mut request = Request::new(Body::default());
            *request.uri_mut() = uri.parse().unwrap();
            host.map(|host| request.headers_mut().insert(header::HOST, HeaderValue::from_static(host)));
            let prepared = prepare(request, version);
            assert_eq!(prepared.uri().to_string(), expected_uri, "{uri}");
            let host = prepared.headers().get(header::HOST).map(|value| value.to_str().unwrap());
            assert_eq!(host, expected_host, "{uri}");
        }
    }
}
