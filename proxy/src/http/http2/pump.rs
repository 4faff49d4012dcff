//! Carries a body out on a stream of HTTP/2, no faster than the other side takes it.

use std::{error::Error as _, future::poll_fn, pin::Pin, task::Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as _, Frame};

use crate::message::{Body, BodyError};

/// Sends `body` to its end, or until the other side does not want it any more.
pub(super) async fn pump(mut body: Body, mut out: SendStream<Bytes>) -> Result<(), h2::Error> {
    loop {
        let frame = match next(&mut body, &mut out).await? {
            None => return out.send_data(Bytes::new(), true),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                out.send_reset(reason(&error));
                return Ok(());
            }
        };
        match frame.into_data() {
            Ok(data) => {
                let last = body.is_end_stream();
                if !data.is_empty() {
                    room(&mut out).await?;
                }
                out.send_data(data, last)?;
                if last {
                    return Ok(());
                }
            }
            Err(other) => {
                if let Ok(trailers) = other.into_trailers() {
                    out.reserve_capacity(0);
                    return out.send_trailers(trailers);
                }
            }
        }
    }
}

/// The next part of `body`, unless the other side resets the stream before.
async fn next(
    body: &mut Body,
    out: &mut SendStream<Bytes>,
) -> Result<Option<Result<Frame<Bytes>, BodyError>>, h2::Error> {
    poll_fn(|context| {
        if let Poll::Ready(reset) = out.poll_reset(context) {
            return Poll::Ready(Err(reset.map_or_else(|error| error, h2::Error::from)));
        }
        Pin::new(&mut *body).poll_frame(context).map(Ok)
    })
    .await
}

/// Waits until something can be sent. One byte is asked for: more would be taken from other streams before it is used.
async fn room(out: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    out.reserve_capacity(1);
    poll_fn(|context| {
        if let Poll::Ready(reset) = out.poll_reset(context) {
            return Poll::Ready(Err(reset.map_or_else(|error| error, h2::Error::from)));
        }
        loop {
            if out.capacity() > 0 {
                return Poll::Ready(Ok(()));
            }
            match std::task::ready!(out.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
            }
        }
    })
    .await
}

/// What the other side is told of a body that broke off: what whoever sent it was told to say, if it came on a stream, too.
fn reason(error: &BodyError) -> Reason {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
            return reason;
        }
        cause = error.source();
    }
    Reason::INTERNAL_ERROR
}
