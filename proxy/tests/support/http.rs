//! Programs behind sidecars, and clients that call.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    server::conn::{http1 as http1_server, http2 as http2_server},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::soon;

/// How many lines of a head programs and clients here take: more than sidecars do.
const MOST_LINES: usize = 1_000;

pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

pub fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Starts a program that answers as `answer` says, in the version in which it is asked.
pub async fn program<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    program_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
}

/// Starts a program that listens there.
pub fn program_on<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut first = [0; 3];
                // Sidecars send a whole preface at once.
                let _ = stream.peek(&mut first).await;
                let service = service_fn(move |request| {
                    let response = answer(request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                let io = TokioIo::new(stream);
                if &first == b"PRI" {
                    let _ = http2_server::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                } else {
                    let _ = http1_server::Builder::new().max_headers(MOST_LINES).serve_connection(io, service).await;
                }
            });
        }
    });
    address
}

/// A program that says its name and what it was asked.
pub async fn named(name: &'static str) -> SocketAddr {
    program(move |request| async move {
        let text = format!("{name} {:?} {} {}", request.version(), request.method(), request.uri());
        Response::builder().header("x-program", name).body(full(text)).unwrap()
    })
    .await
}

/// The client's side of a connection.
pub enum Client {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Client {
    /// Connects in plaintext.
    pub async fn plain(address: SocketAddr, version: Version) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), version).await.unwrap()
    }

    /// Connects by mutual TLS.
    pub async fn tls(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        version: Version,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::IpAddress(address.ip().into());
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self::over(stream, version).await?)
    }

    /// Connects in plaintext, and asks for a tunnel to speak through.
    pub async fn through_tunnel(address: SocketAddr, authority: &str, version: Version) -> Self {
        let mut outer = Self::plain(address, Version::HTTP_11).await;
        let answer = outer.send(Request::connect(authority).body(empty()).unwrap()).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let tunnel = soon("a tunnel", hyper::upgrade::on(answer)).await.unwrap();
        Self::over(TokioIo::new(tunnel), version).await.unwrap()
    }

    async fn over<T>(io: T, version: Version) -> Result<Self, hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(io);
        if version == Version::HTTP_2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::Builder::new().max_headers(MOST_LINES).handshake(io).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(Self::Http1(sender))
    }

    pub async fn try_send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        let sending = async {
            match self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Self::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        soon("an answer", sending).await
    }

    pub async fn send(&mut self, request: Request<Body>) -> Response<Incoming> {
        self.try_send(request).await.unwrap()
    }

    /// Gets a URL: HTTP/1.1 in absolute form, HTTP/2 with its authority.
    pub async fn get(&mut self, url: &str) -> Answer {
        let mut request = Request::get(url);
        if let Self::Http1(_) = self {
            let authority = url.parse::<http::Uri>().unwrap().authority().map(ToString::to_string);
            request = request.header("host", authority.unwrap_or_default());
        }
        Answer::of(self.send(request.body(empty()).unwrap()).await).await
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = soon("a body", body.collect()).await.unwrap();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem document that it is.
    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn problem_code(&self) -> String {
        self.problem()["type"].as_str().unwrap().trim_start_matches("urn:sluice:problem:").to_owned()
    }
}
