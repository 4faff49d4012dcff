//! The server's side of a connection: HTTP/1.1 and HTTP/2 with prior knowledge on one port, within bounds.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::{HeaderValue, Method, StatusCode, Version, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::on};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    attend::{attend, note},
    bounds::HEAD_LINES,
    http2::Server,
    incoming,
    linger::Linger,
    rewind::read_ahead,
    tunnel::let_go,
};
use crate::{
    base::{gate::Gate, ledger::Account},
    message::{Body, Request, Response, headers::expects_leave, upgrade::lend},
};

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How long the head of a request may take to come.
    pub header_timeout: Duration,
    /// How large the head of a request may be, in bytes; larger is answered with 431.
    pub header_bytes: usize,
    /// How many requests may be on their way at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long an HTTP/2 connection may ask for nothing. One of HTTP/1.1 may for as long as a head may take.
    pub idle: Duration,
    /// How old a connection may grow, before nothing new is taken on it.
    pub age: Duration,
    /// How long a connection may go on when it has to end.
    pub farewell: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            header_bytes: 64 << 10,
            streams: 1_000,
            // Sidecars close what they do not use after five minutes, and after an hour in any case.
            idle: Duration::from_mins(10),
            age: Duration::from_hours(2),
            farewell: Duration::from_secs(30),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As connections do.
    Somehow,
    /// With a head that is larger than there is room for.
    TooLarge,
    /// With a head that cannot be read.
    Unreadable,
}

impl Ended {
    /// Why a head was refused, if one was.
    pub const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Somehow => None,
            Self::TooLarge => Some("too_large"),
            Self::Unreadable => Some("unreadable"),
        }
    }
}

impl From<hyper::Error> for Ended {
    fn from(error: hyper::Error) -> Self {
        match error {
            error if error.is_parse_too_large() => Self::TooLarge,
            error if error.is_parse() => Self::Unreadable,
            _ => Self::Somehow,
        }
    }
}

/// Serves a connection to its end. When `draining` turns true, it says so and ends without a loss: HTTP/2 by GOAWAY,
/// HTTP/1.1 by `connection: close` with the next response. An idle HTTP/1.1 connection is left alone, and so is an
/// HTTP/2 connection that has not asked for anything yet, for a request may be on its way. What comes of bodies goes to
/// `account` until a handler knows better.
pub async fn serve<T, H, F>(
    io: T,
    account: &Arc<Account>,
    settings: ServerSettings,
    draining: watch::Receiver<bool>,
    handle: H,
) -> Ended
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Send + Sync + Clone + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    serve_until(std::future::pending(), io, account, settings, draining, handle).await
}

/// Serves a connection as [`serve`] does, but not for longer than `end`: then it says that it is over, whether anything was
/// asked for yet or not, and soon after it is. Whoever is to be turned away meanwhile, `handle` has to turn away.
pub async fn serve_until<T, H, F>(
    end: impl Future<Output = ()>,
    io: T,
    account: &Arc<Account>,
    settings: ServerSettings,
    draining: watch::Receiver<bool>,
    handle: H,
) -> Ended
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Send + Sync + Clone + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let ended = watch::Sender::new(false);
    let ending = ended.subscribe();
    // The other side may never say that it has understood: it does not have a say in this.
    let over = async {
        end.await;
        ended.send_replace(true);
        sleep(settings.farewell).await;
    };
    tokio::select! {
        ended = connection(io, account, settings, draining, ending, handle) => ended,
        () = over => Ended::Somehow,
    }
}

async fn connection<T, H, F>(
    io: T,
    account: &Arc<Account>,
    settings: ServerSettings,
    mut draining: watch::Receiver<bool>,
    mut ending: watch::Receiver<bool>,
    handle: H,
) -> Ended
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Send + Sync + Clone + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    // A connection that says nothing, or is lost before it did, is nobody's loss.
    let Ok(Ok(Some((io, is_http2)))) = timeout(settings.header_timeout, read_ahead(io)).await else {
        return Ended::Somehow;
    };
    let closing = (!is_http2).then(|| [draining.clone(), ending.clone()]);
    let (born, requests) = (Instant::now(), Gate::new(usize::MAX));
    let served = requests.clone();
    let spoken = watch::Sender::new(false);
    let mut spoke = spoken.subscribe();
    let service = move |request: Request| {
        spoken.send_if_modified(|spoken| !std::mem::replace(spoken, true));
        let method = request.method().clone();
        let waits = request.version() == Version::HTTP_11 && expects_leave(request.headers());
        let (head, body) = request.into_parts();
        let (body, asked_for) = body.watched();
        // A place of its own: whatever a request needs on its way is gone with it, and no connection keeps room for it.
        let response = Box::pin(handle(Request::from_parts(head, body)));
        let (closing, pass) = (closing.clone(), served.enter());
        async move {
            let mut response = finished(response.await, &method).map(|body| body.holding(pass));
            // The caller may send the body all the same, or not: what would come next can be read in two ways.
            let unsent = waits && !asked_for.load(Ordering::Relaxed);
            let is_old = born.elapsed() >= settings.age;
            if let Some(signals) = closing
                && (unsent || is_old || signals.iter().any(|signal| *signal.borrow()))
            {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    if is_http2 {
        let head_bytes = u32::try_from(settings.header_bytes).unwrap_or(u32::MAX);
        let Ok(caller) = Server::greet(io, account, settings.streams, head_bytes).await else { return Ended::Somehow };
        let drained = async {
            asked(&mut draining).await;
            asked(&mut spoke).await;
        };
        let leaving = async {
            tokio::select! {
                () = drained => {}
                () = asked(&mut ending) => {}
                () = idle(&requests, settings.idle) => {}
                () = sleep(settings.age) => {}
            }
        };
        // Who has nothing left to hear need not say that it has understood.
        caller.run(leaving, nothing_left(&requests, settings.farewell), service).await;
        Ended::Somehow
    } else {
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(incoming::body);
            if request.headers().contains_key(header::UPGRADE) {
                let connection = let_go(on(&mut request));
                lend(request.extensions_mut(), connection);
            }
            let response = service(request);
            async move {
                let response = response.await;
                note(&response);
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            .max_headers(HEAD_LINES)
            .max_buf_size(settings.header_bytes);
        // A caller that hangs up its half is taken for gone, as Envoy does it: many callers give a call up, and hardly one
        // waits for its answer that way.
        // A CONNECT that is answered with 200 takes the connection away; then this is the end of it here.
        let io = TokioIo::new(Linger::new(io));
        attend(builder.serve_connection(io, service).with_upgrades()).await.map_or(Ended::Somehow, ended)
    }
}

fn ended(end: Result<(), hyper::Error>) -> Ended {
    end.map_or_else(Ended::from, |()| Ended::Somehow)
}

/// A response as its request allows it (RFC 9110 §9.3.2, §15): to HEAD the head alone, which says how long the body would
/// be.
fn finished(mut response: Response, method: &Method) -> Response {
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if method != Method::HEAD && !bodiless {
        return response;
    }
    if let (false, Some(length)) =
        (bodiless, http_body::Body::size_hint(response.body()).exact().filter(|&length| length > 0))
    {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    response.map(Body::silenced)
}

/// Returns when nothing has been asked for, nor answered, for `limit`.
async fn idle(requests: &Gate, limit: Duration) {
    loop {
        match limit.checked_sub(requests.quiet_for()) {
            None | Some(Duration::ZERO) => return,
            Some(rest) => sleep(rest).await,
        }
    }
}

/// Returns when nothing is on its way, looking every `farewell`.
async fn nothing_left(requests: &Gate, farewell: Duration) {
    loop {
        sleep(farewell).await;
        if requests.inside() == 0 {
            return;
        }
    }
}

/// Returns when it turns true. If nobody is left to turn it, that is never.
async fn asked(signal: &mut watch::Receiver<bool>) {
    if signal.wait_for(|&turned| turned).await.is_err() {
        std::future::pending::<()>().await;
    }
}
