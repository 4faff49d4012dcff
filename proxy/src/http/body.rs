//! A body on its way: bytes, then trailers. It is never collected; whoever reads it sets the pace.

use std::{
    any::Any,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    activity::Activity,
    attend::Deadline,
    bounds::LARGEST_PART,
    headers, http2,
    leave::{Leave, Waiting},
    replay::{Again, Kept},
};
use crate::base::ledger::{Held, Holder, Room};

/// A body, wherever it comes from.
#[derive(Default)]
pub struct Body {
    source: Source,
    /// When it last moved.
    activity: Option<Activity>,
    /// There is no room for more of it.
    room: Option<Room>,
    /// How long the response that it is part of may stand still.
    timeout: Option<Duration>,
    /// Nothing of it is asked for before there is leave.
    leave: Option<Waiting>,
    /// Turns true when something of it is asked for.
    asked_for: Option<Arc<AtomicBool>>,
    /// Dropped with the body, or at its end.
    held: Vec<Box<dyn Any + Send + Sync>>,
}

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Stream(Box<http2::Incoming>),
    Kept(Kept),
    Again(Again),
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The other side of it is gone, or has sent what is no body.
    #[error("the body was cut off: {0}")]
    CutOff(#[from] hyper::Error),
    /// The same, of HTTP/2.
    #[error("the body was cut off: {0}")]
    Reset(#[from] h2::Error),
    /// It goes on where the request was sent once more.
    #[error("the body goes elsewhere")]
    Elsewhere,
    /// The answer came without it.
    #[error("nobody wanted the body")]
    Unwanted,
}

impl Body {
    /// The whole body at once.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Full(bytes.into()), ..Self::default() }
    }

    pub(super) fn incoming(incoming: Incoming) -> Self {
        Self { source: Source::Incoming(incoming), ..Self::default() }
    }

    pub(super) fn stream(incoming: http2::Incoming) -> Self {
        Self { source: Source::Stream(Box::new(incoming)), ..Self::default() }
    }

    pub(super) fn kept(kept: Kept) -> Self {
        Self { source: Source::Kept(kept), ..Self::default() }
    }

    pub(super) fn again(again: Again) -> Self {
        Self { source: Source::Again(again), ..Self::default() }
    }

    /// The same body, whose moves are noted in `activity`; what comes of it is held by that until it has gone on.
    #[must_use]
    pub fn noted(self, activity: &Activity) -> Self {
        if let (Source::Stream(incoming), Some(holder)) = (&self.source, activity.holder()) {
            incoming.hand_over(holder);
        }
        Self { activity: Some(activity.clone()), ..self }
    }

    /// The same body, whose moves are noted. When nothing has moved for `timeout`, whoever serves it gives it up, and it
    /// looks cut off to who reads it.
    #[must_use]
    pub fn limited(self, activity: &Activity, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.noted(activity) }.holding(Finish(activity.clone()))
    }

    /// The same body, which drops `guard` at its end.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.held.push(Box::new(guard));
        self
    }

    /// The same body, which is not asked for before there is leave.
    pub(super) fn waiting(self) -> (Self, Leave) {
        let (leave, waiting) = Leave::new();
        (Self { leave: Some(waiting), ..self }, leave)
    }

    /// The same body, and what turns true when something of it is asked for.
    pub(super) fn watched(self) -> (Self, Arc<AtomicBool>) {
        let asked_for = Arc::<AtomicBool>::default();
        (Self { asked_for: Some(asked_for.clone()), ..self }, asked_for)
    }

    /// Nothing of it, for whoever asked for the head alone; what it holds is let go.
    pub(super) fn silenced(self) -> Self {
        Self { source: Source::Empty, held: Vec::new(), ..self }
    }

    pub(super) fn activity(&self) -> Option<Activity> {
        self.activity.clone().or_else(|| match &self.source {
            Source::Kept(kept) => kept.activity(),
            Source::Again(again) => again.activity(),
            _ => None,
        })
    }

    /// What holds what comes of this request, if anybody counts it.
    pub(super) fn holder(&self) -> Option<Arc<Holder>> {
        self.activity()?.holder().cloned()
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        Some(Deadline { activity: self.activity.clone()?, timeout: self.timeout })
    }
}

/// The next part of a body of HTTP/1.1. The engine reads nothing of it that nobody asks for, and it is not asked for while
/// there is no room.
fn poll_incoming(
    incoming: &mut Incoming,
    holder: Option<&Arc<Holder>>,
    room: &mut Option<Room>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let Some(holder) = holder else {
        return Pin::new(incoming).poll_frame(context).map(|frame| frame.map(|result| result.map_err(BodyError::from)));
    };
    while let Err(freed) = holder.account().admit(LARGEST_PART) {
        ready!(room.insert(freed).as_mut().poll(context));
    }
    let frame = ready!(Pin::new(incoming).poll_frame(context));
    Poll::Ready(frame.map(|result| {
        let kept = |bytes: Bytes| {
            let held = Held::new(holder, bytes.len() as u64);
            http2::kept(bytes, held)
        };
        result.map(|frame| frame.map_data(kept)).map_err(BodyError::from)
    }))
}

/// Trailers without what has no place there.
fn passed_on(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::strip_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

/// Finishes an activity when it is dropped.
struct Finish(Activity);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(leave) = &mut this.leave {
            let given = ready!(leave.as_mut().poll(context));
            this.leave = None;
            if !given {
                this.source = Source::Empty;
                return Poll::Ready(Some(Err(BodyError::Unwanted)));
            }
        }
        if let Some(asked_for) = this.asked_for.take() {
            asked_for.store(true, Ordering::Relaxed);
        }
        let moved = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Incoming(incoming) => {
                let holder = this.activity.as_ref().and_then(Activity::holder);
                poll_incoming(incoming, holder, &mut this.room, context)
            }
            Source::Stream(incoming) => incoming.poll_frame(context),
            Source::Kept(kept) => kept.poll_frame(context),
            Source::Again(again) => again.poll_frame(context),
        };
        match (&moved, &this.activity) {
            (Poll::Ready(Some(Ok(_))), Some(activity)) => activity.touch(),
            (Poll::Ready(Some(Err(_))), Some(activity)) => activity.break_off(),
            _ => {}
        }
        if matches!(moved, Poll::Ready(None | Some(Err(_)))) {
            this.held.clear();
        }
        moved.map_ok(passed_on)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Incoming(incoming) => incoming.is_end_stream(),
            Source::Stream(incoming) => incoming.is_end_stream(),
            Source::Kept(kept) => kept.is_end_stream(),
            Source::Again(again) => again.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Source::Incoming(incoming) => incoming.size_hint(),
            Source::Stream(incoming) => incoming.size_hint(),
            Source::Kept(kept) => kept.size_hint(),
            Source::Again(again) => again.size_hint(),
        }
    }
}
