//! The client's side of a connection.

use std::{
    any::Any,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Version;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Body, Request, Response,
    bounds::{SEND_BUFFER, STREAM_WINDOW, STREAMS, connection_window},
};

/// How large the head of a response may be, in bytes, and of HTTP/1.1 how much is read before it is asked for.
const LARGEST_HEAD: u32 = 64 << 10;

/// A connection on which requests can be sent.
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at once; no more than so many, by what the server says of itself.
    Http2(http2::SendRequest<Body>, Arc<AtomicUsize>),
}

/// Why no response came.
pub enum SendFailure {
    /// Nothing of the request was sent: it can be tried elsewhere.
    Unsent(Box<Request>),
    /// Some of it may have been.
    Broken(hyper::Error),
}

impl Connection {
    /// Greets the server at the other end of `io`. `guard` is dropped when the connection ends.
    pub async fn open<T>(io: T, version: Version, guard: impl Any + Send) -> Result<Self, hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(io);
        // How the connection ends is told to those who wait for responses on it.
        if version == Version::HTTP_2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_header_list_size(LARGEST_HEAD)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(connection_window(STREAMS))
                .initial_max_send_streams(STREAMS as usize)
                .max_send_buf_size(SEND_BUFFER);
            let (sender, connection) = builder.handshake(io).await?;
            let allowed = Arc::new(AtomicUsize::new(STREAMS as usize));
            let told = allowed.clone();
            tokio::spawn(async move {
                let mut connection = pin!(connection);
                // What the server allows comes in its own time, and may change.
                let _ = poll_fn(|context| {
                    let end = connection.as_mut().poll(context);
                    told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                    end
                })
                .await;
                drop(guard);
            });
            return Ok(Self::Http2(sender, allowed));
        }
        let (sender, connection) = http1::Builder::new().max_buf_size(LARGEST_HEAD as usize).handshake(io).await?;
        tokio::spawn(async move {
            let _ = connection.await;
            drop(guard);
        });
        Ok(Self::Http1(sender))
    }

    /// Another handle to the same connection, if it takes many requests at once.
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender, allowed) => Some(Self::Http2(sender.clone(), allowed.clone())),
        }
    }

    /// How many requests it carries at once, if it is shared.
    pub fn most(&self) -> usize {
        match self {
            Self::Http1(_) => 1,
            Self::Http2(_, allowed) => allowed.load(Ordering::Relaxed).clamp(1, STREAMS as usize),
        }
    }

    /// Whether it takes a request right now.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender, _) => sender.is_ready(),
        }
    }

    /// Waits until it takes another request. `false`: it never will.
    pub async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender, _) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub async fn send(&mut self, request: Request) -> Result<Response, SendFailure> {
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender, _) => sender.try_send_request(request).await,
        };
        match sent {
            Ok(response) => Ok(response.map(Body::incoming)),
            Err(mut failure) => Err(match failure.take_message() {
                Some(request) => SendFailure::Unsent(Box::new(request)),
                None => SendFailure::Broken(failure.into_error()),
            }),
        }
    }
}
