//! A body on its way: bytes, then trailers. It is never collected; whoever reads it sets the pace.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::Activity;

/// A body, wherever it comes from.
#[derive(Default)]
pub struct Body {
    source: Source,
    watch: Option<Box<Watch>>,
}

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
}

/// What is to be known of a body on its way.
struct Watch {
    activity: Activity,
    /// Ends the body when nothing has moved for too long.
    ceased: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    /// Dropped with the body, or at its end.
    guard: Option<Box<dyn Any + Send + Sync>>,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The other side of it is gone.
    #[error("the body was cut off: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("the body stood still for too long")]
    Idle,
}

impl Body {
    /// The whole body at once.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Full(bytes.into()), watch: None }
    }

    pub(super) fn incoming(incoming: Incoming) -> Self {
        Self { source: Source::Incoming(incoming), watch: None }
    }

    /// The same body, whose moves are noted in `activity`.
    #[must_use]
    pub fn noted(self, activity: &Activity) -> Self {
        self.watched(Watch { activity: activity.clone(), ceased: None, guard: None })
    }

    /// The same body, whose moves are noted; it ends with an error when nothing has moved for `timeout`, and drops
    /// `guard` at its end.
    #[must_use]
    pub fn guarded(self, activity: &Activity, timeout: Option<Duration>, guard: impl Any + Send + Sync) -> Self {
        let ceased = timeout.map(|timeout| Box::pin(activity.clone().ceased(Some(timeout))) as Pin<Box<_>>);
        self.watched(Watch { activity: activity.clone(), ceased, guard: Some(Box::new(guard)) })
    }

    fn watched(self, watch: Watch) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }
}

impl Watch {
    fn note(&mut self, moved: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        match moved {
            Poll::Ready(Some(Ok(_))) => self.activity.touch(),
            Poll::Ready(_) => drop(self.guard.take()),
            Poll::Pending => {}
        }
    }

    fn poll_ceased(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(ceased) = &mut self.ceased else { return Poll::Pending };
        ready!(ceased.as_mut().poll(context));
        self.ceased = None;
        self.guard = None;
        Poll::Ready(())
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
        let moved = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Incoming(incoming) => {
                Pin::new(incoming).poll_frame(context).map(|frame| frame.map(|result| result.map_err(BodyError::from)))
            }
        };
        if let Some(watch) = &mut this.watch {
            watch.note(&moved);
            if moved.is_pending() && watch.poll_ceased(context).is_ready() {
                this.source = Source::Empty;
                return Poll::Ready(Some(Err(BodyError::Idle)));
            }
        }
        moved
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Incoming(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Source::Incoming(incoming) => incoming.size_hint(),
        }
    }
}
