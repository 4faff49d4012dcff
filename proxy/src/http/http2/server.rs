//! The server's side of a connection of HTTP/2.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use h2::{
    RecvStream,
    server::{self, SendResponse},
};
use http::{HeaderValue, header};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    date,
    incoming::Incoming,
    intake::{Intake, Metered},
    pings::vanished,
    pump::pump,
};
use crate::{
    base::ledger::Account,
    http::bounds::{SEND_BUFFER, SMALL_PARTS, STREAM_WINDOW, connection_window},
    message::{Body, Request, Response},
};

/// What every connection begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// How often a silent connection is asked whether it lives, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));

/// A connection of a caller.
pub(in crate::http) struct Server<T> {
    connection: server::Connection<Metered<T>, Bytes>,
    intake: Intake,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Server<T> {
    /// Greets the caller at the other end of `io`, which may ask for so many `streams` at once. What comes of bodies goes to
    /// `account`.
    pub(in crate::http) async fn greet(
        io: T,
        account: &Arc<Account>,
        streams: u32,
        head_bytes: u32,
    ) -> Result<Self, h2::Error> {
        let intake = Intake::of_caller(account);
        let connection = server::Builder::new()
            .max_concurrent_streams(streams)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window(streams))
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(head_bytes)
            .data_frame_budget(SMALL_PARTS)
            .handshake(Metered::new(io, intake.clone(), PREFACE))
            .await?;
        Ok(Self { connection, intake })
    }

    /// Gives every request to `serve`, until the connection ends. When `leaving` returns, the caller is told to send no more;
    /// when `left` does after that, it has nothing left to hear.
    pub(in crate::http) async fn run<S, F>(
        mut self,
        leaving: impl Future<Output = ()>,
        left: impl Future<Output = ()>,
        serve: S,
    ) where
        S: Fn(Request) -> F,
        F: Future<Output = Response> + Send + 'static,
    {
        let gone = vanished(self.connection.ping_pong(), self.intake.clone(), KEEPALIVE.0, KEEPALIVE.1);
        let (mut gone, mut leaving, mut left) = (pin!(gone), pin!(leaving), pin!(left));
        let mut leaves = false;
        loop {
            tokio::select! {
                accepted = self.connection.accept() => {
                    // How a connection ends is hardly news: requests that were cut off are known to their handlers.
                    let Some(Ok((request, respond))) = accepted else { return };
                    let request = self.request(request, &respond);
                    tokio::spawn(stream(serve(request), respond));
                }
                () = &mut leaving, if !leaves => {
                    leaves = true;
                    self.connection.graceful_shutdown();
                }
                () = &mut left, if leaves => return,
                () = &mut gone => return,
            }
        }
    }

    fn request(&self, request: http::Request<RecvStream>, respond: &SendResponse<Bytes>) -> Request {
        let stream = respond.stream_id().as_u32();
        let (head, recv) = request.into_parts();
        let reading = if recv.is_end_stream() {
            self.intake.pass(stream);
            None
        } else {
            self.intake.open_early(stream)
        };
        let body = Body::coming(Incoming::new(recv, reading, &head.headers));
        Request::from_parts(head, body)
    }
}

/// Answers one request, unless its caller does not want it any more.
async fn stream(answer: impl Future<Output = Response>, mut respond: SendResponse<Bytes>) {
    let response = tokio::select! {
        biased;
        response = answer => response,
        _ = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    let deadline = response.body().deadline();
    let ceased = async {
        match deadline {
            Some(deadline) => deadline.activity.ceased(deadline.timeout).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = send(response, respond) => {}
        // What is dropped before its end is reset.
        () = ceased => {}
    }
}

async fn send(response: Response, mut respond: SendResponse<Bytes>) {
    let (mut head, body) = response.into_parts();
    head.headers.entry(header::DATE).or_insert_with(date::now);
    let is_over = body.is_end_stream();
    if let (false, Some(length)) = (is_over, body.size_hint().exact()) {
        head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    match respond.send_response(http::Response::from_parts(head, ()), is_over) {
        Ok(out) if !is_over => drop(pump(body, out).await),
        Ok(_) => {}
        Err(_) => respond.send_reset(h2::Reason::INTERNAL_ERROR),
    }
}
