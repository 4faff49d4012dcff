//! The way on: to endpoints of the mesh by mutual TLS, and to the own program in plaintext, over pooled connections.

mod budget;
mod connect;
mod failure;
mod pool;
mod severable;

use std::{
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use budget::Budget;
use pool::{Lease, Pool};

use crate::{
    base::{ledger::Ledger, published::Published},
    config::cluster::Security,
    http::{Pings, SendFailure},
    identity::credentials::Credentials,
    message::{
        HeaderValue, Replay, Request, Response, Uri, Version, header,
        headers::{self, UNTOUCHED},
        upgrade,
    },
    telemetry::metrics::Metrics,
};

pub use failure::{ConnectFault, Failure, Untouched};

/// How often a request is sent once more to the same target.
const RESENDS: u32 = 2;

/// How the way on is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How sidecars are asked whether they live.
    pub pings: Pings,
    /// How many connections are kept, in use or not, whatever they lead to. Those that are shared are kept while they are
    /// used, even if they are more.
    pub most_kept: usize,
    /// How long requests on a connection may go on when the other side is no longer believed.
    pub farewell: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pings: Pings { every: Duration::from_secs(10), patience: Duration::from_secs(5) },
            most_kept: 512,
            farewell: Duration::from_secs(30),
        }
    }
}

/// Where a request goes, and what must be proved there. Connections are shared only by requests that ask for the same:
/// a change of identities never reuses an old connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The endpoint.
    pub address: SocketAddr,
    /// What it has to prove.
    pub security: Security,
    /// What is spoken.
    pub version: Version,
}

/// Who is there is compared, and not hashed: to one address few different proofs are asked for at a time.
impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.address, self.version).hash(state);
    }
}

/// Sends requests to where they are to go.
pub struct Upstream {
    identity: Arc<Published<Credentials>>,
    pool: Arc<Pool>,
    /// Where is counted what comes of bodies.
    ledger: Arc<Ledger>,
    settings: Settings,
    budget: Budget,
}

impl Upstream {
    /// With this identity, which may be renewed. Call it inside of the runtime: it tidies up now and then.
    pub fn new(
        identity: Arc<Published<Credentials>>,
        metrics: Arc<Metrics>,
        ledger: Arc<Ledger>,
        settings: Settings,
    ) -> Self {
        let pool = Arc::new(Pool::new(identity.clone(), metrics, settings.most_kept));
        tokio::spawn(pool::tidy(Arc::downgrade(&pool)));
        Self { identity, pool, ledger, settings, budget: Budget::default() }
    }

    /// Sends `request` to `target`, until `stands_still`. It is sent once more over another connection when nothing was
    /// done with it, or when doing it twice is doing it once and the connection was an old one (RFC 9110 §9.2.2).
    pub async fn send(
        &self,
        target: &Target,
        connect_timeout: Duration,
        request: Request,
        stands_still: impl Future<Output = ()>,
    ) -> Result<Response, Failure> {
        let mut request = prepare(request, target.version);
        let mut stands_still = std::pin::pin!(stands_still);
        self.budget.earn();
        let mut resends = 0;
        loop {
            // Seldom needed, and large: not in every request.
            let open = |guard| Box::pin(connect::open(target, connect_timeout, self, guard));
            let mut lease = match self.pool.get(target, resends > 0, connect_timeout, open).await {
                Ok(lease) => lease,
                Err(fault) => return Err(untouched(request, Untouched::NoConnection(fault))),
            };
            let (mut replay, first) = keep(target, &lease, request);
            let sent = tokio::select! {
                sent = lease.connection.send(first) => sent,
                () = &mut stands_still => {
                    Pool::suspect(&lease);
                    return Err(Failure::StoodStill);
                }
            };
            let failure = match sent {
                Ok(response) => return self.received(target, lease, response, replay),
                Err(failure) => failure,
            };
            match failure {
                SendFailure::Refused(_) => {}
                SendFailure::Vanished(_) => Pool::suspect(&lease),
                _ => Pool::forget(&lease),
            }
            let may = resends < RESENDS;
            let idempotent = replay.as_ref().is_some_and(Replay::is_idempotent);
            let mut again = || replay.as_mut()?.again();
            request = match failure {
                SendFailure::Unsent(unsent) if lease.reused && may => *unsent,
                SendFailure::Unsent(unsent) => {
                    return Err(untouched(*unsent, Untouched::NoConnection(ConnectFault::Closed)));
                }
                SendFailure::Refused(reason) | SendFailure::GoingAway(reason) => match again() {
                    None => return Err(Failure::Broken(reason)),
                    Some(request) if may && self.budget.spend() => request,
                    Some(request) => return Err(untouched(request, Untouched::Refused(reason))),
                },
                SendFailure::Ended(reason) | SendFailure::Vanished(reason) => {
                    let request = (lease.reused && idempotent && may && self.budget.spend()).then(again).flatten();
                    request.ok_or(Failure::Broken(reason))?
                }
                SendFailure::Broken(reason) => return Err(Failure::Broken(reason)),
                SendFailure::BadAnswer(fault) => return Err(Failure::BadAnswer(fault)),
            };
            resends += 1;
        }
    }

    fn received(
        &self,
        target: &Target,
        lease: Lease,
        mut response: Response,
        replay: Option<Replay>,
    ) -> Result<Response, Failure> {
        let granted = upgrade::granted(&response);
        headers::strip(response.headers_mut());
        if let Some(protocol) = granted {
            upgrade::write(response.headers_mut(), protocol);
        }
        // Who has no sidecar cannot speak in the name of the mesh; who has one, is kept from it there.
        if target.security == Security::Plaintext {
            headers::strip_forgeries(response.headers_mut());
        }
        *response.version_mut() = Version::HTTP_11;
        let told = response.headers_mut().remove(UNTOUCHED).is_some();
        let response = response.map(|body| body.holding(lease.place.clone()));
        self.pool.give_back(target, lease);
        let is_sidecar = matches!(target.security, Security::MutualTls(_));
        match replay.filter(|_| told && is_sidecar).and_then(|mut replay| replay.again()) {
            Some(request) => Err(untouched(request, Untouched::Told(Box::new(response)))),
            None => Ok(response),
        }
    }
}

fn untouched(request: Request, why: Untouched) -> Failure {
    Failure::Untouched(Box::new(request), why)
}

/// Keeps what it takes to send a request once more, where that may come to be: where the other side can say that it did
/// nothing with it, or may have closed the connection meanwhile.
fn keep(target: &Target, lease: &Lease, request: Request) -> (Option<Replay>, Request) {
    let can_say = target.version == Version::HTTP_2 || matches!(target.security, Security::MutualTls(_));
    if can_say || (lease.reused && request.method().is_idempotent()) {
        let (replay, request) = Replay::of(request);
        return (Some(replay), request);
    }
    (None, request)
}

/// Writes the head as the other side wants it: the target in the request line or in `:authority`, and nothing that
/// belongs to the connection on which the request came. The host stays as the caller wrote it.
fn prepare(mut request: Request, version: Version) -> Request {
    headers::pass_on(request.headers_mut(), version);
    *request.version_mut() = version;
    if version == Version::HTTP_11 {
        upgrade::ask(&mut request);
    }
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
    use crate::message::Body;

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
