//! A connection that goes on in another protocol (RFC 9110 §7.8), as that of a WebSocket does: asked for with Upgrade, granted with
//! 101, and from there on bytes both ways, until either side ends or it may not go on.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::{Activity, Request, Response, headers::tokens};

/// What a request asks for, kept beside it: its headers are for one connection alone.
#[derive(Clone, Debug)]
struct Asked(HeaderValue);

/// A connection under a message.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Gives a connection, once the engine lets go of it. None: it was lost before.
pub type LettingGo = Pin<Box<dyn Future<Output = Option<Box<dyn Connection>>> + Send>>;

/// The connection under a message, kept beside it by the engine for whoever takes it first.
#[derive(Clone)]
struct Under(Arc<Mutex<Option<LettingGo>>>);

/// Keeps the connection under a message beside it.
pub fn lend(beside: &mut Extensions, connection: LettingGo) {
    beside.insert(Under(Arc::new(Mutex::new(Some(connection)))));
}

fn take(beside: &mut Extensions) -> Option<LettingGo> {
    let Under(connection) = beside.remove()?;
    connection.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a caller asked for: the connection to it, as soon as it goes on in another protocol.
pub struct Upgrade(LettingGo);

impl Upgrade {
    /// What `request` asks for, if it asks so that it counts. It is sent on with the request.
    pub fn asked_for_by(request: &mut Request) -> Option<Self> {
        let protocol = protocol(request.headers())?;
        // Nobody needs HTTP/2 by this way any more (RFC 9113 §3.1), and a body would go on where it ends.
        let ours = protocol.as_bytes().to_ascii_lowercase().starts_with(b"h2c");
        if ours || request.version() != Version::HTTP_11 || !http_body::Body::is_end_stream(request.body()) {
            return None;
        }
        let connection = take(request.extensions_mut())?;
        request.extensions_mut().insert(Asked(protocol));
        Some(Self(connection))
    }

    /// Carries bytes both ways, which `response` grants, until either side ends, `activity` is given up or has not moved
    /// for `timeout`, or `forbidden` returns. `held` is dropped then.
    pub fn join<G: Send + 'static>(
        self,
        response: &mut Response,
        activity: Activity,
        timeout: Option<Duration>,
        forbidden: impl Future<Output = ()> + Send + 'static,
        held: G,
    ) {
        let Some(theirs) = take(response.extensions_mut()) else { return };
        let going_on = async move {
            let (Some(ours), Some(theirs)) = tokio::join!(self.0, theirs) else { return };
            let mut ours = Noted { inner: ours, activity: activity.clone() };
            let mut theirs = Noted { inner: theirs, activity: activity.clone() };
            tokio::select! {
                _ = copy_bidirectional(&mut ours, &mut theirs) => {}
                () = activity.ceased(timeout) => {}
                () = forbidden => {}
            }
            drop(held);
        };
        tokio::spawn(going_on);
    }
}

/// The one protocol that a request or an answer names, if its connection is to go on in it.
fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let goes_on = headers.get_all(header::CONNECTION).iter().any(|value| tokens(value).any(|token| token == "upgrade"));
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    match (protocols.next(), protocols.next()) {
        (Some(protocol), None) if goes_on => Some(protocol.clone()),
        _ => None,
    }
}

/// Says on the next connection what the request asks for.
pub fn ask(request: &mut Request) {
    if let Some(Asked(protocol)) = request.extensions().get::<Asked>().cloned() {
        write(request.headers_mut(), protocol);
    }
}

/// What a request asks for.
pub fn asked(request: &Request) -> Option<HeaderValue> {
    request.extensions().get().map(|Asked(protocol)| protocol.clone())
}

/// Whether `response` goes on in a protocol that was asked for.
pub(super) fn grants(response: &Response, asked: Option<&HeaderValue>) -> bool {
    let (Some(asked), Some(granted)) = (asked, granted(response)) else { return false };
    let mut granted = tokens(&granted);
    match (granted.next(), granted.next()) {
        (Some(granted), None) => tokens(asked).any(|asked| asked == granted),
        _ => false,
    }
}

/// What an answer that grants an upgrade says, for the next connection: call it before its headers are stripped.
pub fn granted(response: &Response) -> Option<HeaderValue> {
    let headers = response.headers();
    (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| protocol(headers)).flatten()
}

/// Writes that a connection goes on in `protocol`.
pub fn write(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// A connection on which is noted what moves.
struct Noted<T> {
    inner: T,
    activity: Activity,
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.touch();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if written.is_ready() {
            self.activity.touch();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Body;

    type Lines = &'static [(&'static str, &'static str)];

    #[tokio::test]
    async fn an_upgrade_is_asked_for_so_that_it_counts() {
        let cases: [(&str, Version, Lines, bool); 7] = [
            (
                "as WebSockets do",
                Version::HTTP_11,
                &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")],
                true,
            ),
            ("without saying so", Version::HTTP_11, &[("connection", "keep-alive"), ("upgrade", "websocket")], false),
            ("to nothing", Version::HTTP_11, &[("connection", "upgrade")], false),
            (
                "to one or the other",
                Version::HTTP_11,
                &[("connection", "upgrade"), ("upgrade", "a"), ("upgrade", "b")],
                false,
            ),
            ("in HTTP/1.0", Version::HTTP_10, &[("connection", "upgrade"), ("upgrade", "websocket")], false),
            ("in HTTP/2", Version::HTTP_2, &[("connection", "upgrade"), ("upgrade", "websocket")], false),
            ("to HTTP/2", Version::HTTP_11, &[("connection", "upgrade, http2-settings"), ("upgrade", "h2c")], false),
        ];
        for (sentence, version, lines, asked) in cases {
            let mut request = http::Request::get("/").version(version);
            for (name, value) in lines {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::default()).unwrap();
            lend(request.extensions_mut(), Box::pin(std::future::pending()));
            assert_eq!(Upgrade::asked_for_by(&mut request).is_some(), asked, "{sentence}");
            assert_eq!(super::asked(&request).is_some(), asked, "{sentence}");
        }
    }
}
