//! A body on its way: bytes, then trailers. It is never collected; whoever reads it sets the pace.

use std::{
    any::Any,
    error::Error,
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

use super::{
    activity::{Activity, Deadline},
    headers,
    replay::{Again, Kept},
};
use crate::base::ledger::Holder;

/// A body that comes on a connection, as the engine reads it.
pub trait Coming: Send + Sync {
    /// The next part of it. What comes is held by `holder`, if there is one.
    fn poll_frame(
        &mut self,
        holder: Option<&Arc<Holder>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>;

    /// What has come already, and was not asked for yet, is held by `holder` from now on.
    fn hand_over(&self, holder: &Arc<Holder>);

    /// Whether nothing more comes.
    fn is_end_stream(&self) -> bool;

    /// How much comes.
    fn size_hint(&self) -> SizeHint;
}

/// Returns when a body may be asked for. `false`: it is not wanted.
pub type Leave = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// A body, wherever it comes from.
#[derive(Default)]
pub struct Body {
    source: Source,
    /// When it last moved.
    activity: Option<Activity>,
    /// How long the response that it is part of may stand still.
    timeout: Option<Duration>,
    /// Nothing of it is asked for before there is leave.
    leave: Option<Leave>,
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
    Coming(Box<dyn Coming>),
    Kept(Kept),
    Again(Again),
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The other side of it is gone, or has sent what is no body.
    #[error("the body was cut off: {0}")]
    CutOff(#[source] Box<dyn Error + Send + Sync>),
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

    /// A body that comes on a connection.
    pub fn coming(coming: impl Coming + 'static) -> Self {
        Self { source: Source::Coming(Box::new(coming)), ..Self::default() }
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
        if let (Source::Coming(coming), Some(holder)) = (&self.source, activity.holder()) {
            coming.hand_over(holder);
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
    #[must_use]
    pub fn waiting(self, leave: Leave) -> Self {
        Self { leave: Some(leave), ..self }
    }

    /// The same body, and what turns true when something of it is asked for.
    pub fn watched(self) -> (Self, Arc<AtomicBool>) {
        let asked_for = Arc::<AtomicBool>::default();
        (Self { asked_for: Some(asked_for.clone()), ..self }, asked_for)
    }

    /// Nothing of it, for whoever asked for the head alone; what it holds is let go.
    #[must_use]
    pub fn silenced(self) -> Self {
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
    pub fn holder(&self) -> Option<Arc<Holder>> {
        self.activity()?.holder().cloned()
    }

    /// How long it may stand still, if anybody looks.
    pub fn deadline(&self) -> Option<Deadline> {
        Some(Deadline { activity: self.activity.clone()?, timeout: self.timeout })
    }
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
            Source::Coming(coming) => {
                let holder = this.activity.as_ref().and_then(Activity::holder);
                coming.poll_frame(holder, context)
            }
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
            Source::Coming(coming) => coming.is_end_stream(),
            Source::Kept(kept) => kept.is_end_stream(),
            Source::Again(again) => again.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Source::Coming(coming) => coming.size_hint(),
            Source::Kept(kept) => kept.size_hint(),
            Source::Again(again) => again.size_hint(),
        }
    }
}
