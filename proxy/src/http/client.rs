//! The client's side of a connection.

use std::any::Any;

use http::Version;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Body, Request, Response};

/// How large the head of a response may be, in bytes.
const LARGEST_HEAD: u32 = 64 << 10;

/// A connection on which requests can be sent.
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at once.
    Http2(http2::SendRequest<Body>),
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
            builder.timer(TokioTimer::new()).max_header_list_size(LARGEST_HEAD);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move {
                let _ = connection.await;
                drop(guard);
            });
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(io).await?;
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
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Whether it takes a request right now.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    /// Waits until it takes another request. `false`: it never will.
    pub async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub async fn send(&mut self, request: Request) -> Result<Response, SendFailure> {
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
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
