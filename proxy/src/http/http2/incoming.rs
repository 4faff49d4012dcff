//! A body that comes on a stream of HTTP/2.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, header};
use http_body::{Frame, SizeHint};

use super::intake::Reading;
use crate::{
    base::ledger::{Held, Holder},
    message::{BodyError, Coming},
};

/// A body that comes.
pub struct Incoming {
    recv: RecvStream,
    /// None: nothing of it comes any more, or nothing ever did.
    reading: Option<Reading>,
    /// How much of it is still to come, if that was said.
    left: Option<u64>,
    /// Only trailers may come.
    is_read: bool,
}

/// A part of a body, which is held until nobody needs it any more.
struct Part {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The same bytes, which are held until the last of them is on its way.
pub(in crate::http) fn kept(bytes: Bytes, held: Held) -> Bytes {
    Bytes::from_owner(Part { bytes, _held: held })
}

impl Incoming {
    pub(super) fn new(recv: RecvStream, reading: Option<Reading>, headers: &HeaderMap) -> Self {
        let said = || headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str)?.ok()?.parse().ok();
        let left = said().or_else(|| recv.is_end_stream().then_some(0));
        Self { recv, reading, left, is_read: false }
    }

    fn take(&mut self, bytes: Bytes) -> Bytes {
        // The other side may send as much again; how much of that is read is another question. It can only fail if more is
        // given back than has come.
        let _ = self.recv.flow_control().release_capacity(bytes.len());
        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
        match self.reading.as_ref().and_then(|reading| reading.take(bytes.len())) {
            Some(held) => kept(bytes, held),
            None => bytes,
        }
    }
}

impl Coming for Incoming {
    /// Whoever holds it is known since [`Coming::hand_over`]: it has come by the time that it is asked for.
    fn poll_frame(
        &mut self,
        _: Option<&Arc<Holder>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.is_read {
            match ready!(self.recv.poll_data(context)) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(self.take(bytes))))),
                Some(Err(error)) => return Poll::Ready(ended(error)),
                None => self.is_read = true,
            }
        }
        Poll::Ready(match ready!(self.recv.poll_trailers(context)) {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => ended(error),
        })
    }

    fn hand_over(&self, holder: &Arc<Holder>) {
        if let Some(reading) = &self.reading {
            reading.hand_over(holder);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// How a body ends that was reset. `NO_ERROR`: the other side has said what it had to say, and the rest of this is of no use to
/// it (RFC 9113 §8.1).
fn ended(error: h2::Error) -> Option<Result<Frame<Bytes>, BodyError>> {
    (error.reason() != Some(Reason::NO_ERROR)).then(|| Err(BodyError::CutOff(error.into())))
}
