//! A body that comes on a connection of HTTP/1.1.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming as Engine;

use super::{bounds::LARGEST_PART, http2};
use crate::{
    base::ledger::{Held, Holder, Room},
    message::{Body, BodyError, Coming},
};

/// A body that comes. The engine reads nothing of it that nobody asks for, and it is not asked for while there is no room.
struct Incoming {
    engine: Engine,
    /// There is no room for more of it.
    room: Option<Room>,
}

/// What the engine reads.
pub(super) fn body(engine: Engine) -> Body {
    if engine.is_end_stream() { Body::default() } else { Body::coming(Incoming { engine, room: None }) }
}

impl Coming for Incoming {
    fn poll_frame(
        &mut self,
        holder: Option<&Arc<Holder>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while let Some(Err(freed)) = holder.map(|holder| holder.account().admit(LARGEST_PART)) {
            ready!(self.room.insert(freed).as_mut().poll(context));
        }
        let frame = ready!(Pin::new(&mut self.engine).poll_frame(context));
        Poll::Ready(frame.map(|result| match (result, holder) {
            (Ok(frame), Some(holder)) => Ok(frame.map_data(|bytes| {
                let held = Held::new(holder, bytes.len() as u64);
                http2::kept(bytes, held)
            })),
            (result, _) => result.map_err(|error| BodyError::CutOff(error.into())),
        }))
    }

    /// Nothing of it has come.
    fn hand_over(&self, _: &Arc<Holder>) {}

    fn is_end_stream(&self) -> bool {
        self.engine.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.engine.size_hint()
    }
}
