//! The program behind the proxies: it answers at once, HTTP/1.1 with 1 KiB and HTTP/2 as gRPC would.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BODY: usize = 1024;

/// What a call of gRPC is answered with.
const ANSWER: &[u8] = &[0; 128];

/// Serves whoever connects, for ever.
pub async fn serve(listener: TcpListener) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {BODY}\r\n\r\n");
    let answer = Bytes::from([head.as_bytes(), &[b'x'; BODY]].concat());
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut first = [0; 3];
            let _ = stream.set_nodelay(true);
            if stream.peek(&mut first).await.is_ok() && &first == b"PRI" {
                calls(stream).await;
            } else {
                let _ = requests(stream, answer).await;
            }
        });
    }
}

/// Answers requests without a body, which is what the load sends over HTTP/1.1.
async fn requests(mut stream: TcpStream, answer: Bytes) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let mut filled = 0;
    loop {
        let more = stream.read(&mut buffer[filled..]).await?;
        if more == 0 {
            return Ok(());
        }
        filled += more;
        while let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            stream.write_all(&answer).await?;
            buffer.copy_within(end + 4..filled, 0);
            filled -= end + 4;
        }
        if filled == buffer.len() {
            return Ok(());
        }
    }
}

async fn calls(stream: TcpStream) {
    let service = service_fn(async |request: http::Request<Incoming>| {
        let _ = request.into_body().collect().await;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from_static(ANSWER)).with_trailers(async move { Some(Ok(trailers)) });
        Ok::<_, Infallible>(Response::builder().header("content-type", "application/grpc").body(body).expect("sound"))
    });
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}
