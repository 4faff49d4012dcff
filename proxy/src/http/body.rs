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
    /// Dropped with the body, or at its end.
    held: Vec<Box<dyn Any + Send + Sync>>,
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
        Self { source: Source::Full(bytes.into()), ..Self::default() }
    }

    pub(super) fn incoming(incoming: Incoming) -> Self {
        Self { source: Source::Incoming(incoming), ..Self::default() }
    }

    /// The same body, whose moves are noted in `activity`.
    #[must_use]
    pub fn noted(self, activity: &Activity) -> Self {
        self.watched(Watch { activity: activity.clone(), ceased: None })
    }

    /// The same body, whose moves are noted; it ends with an error when nothing has moved for `timeout`.
    #[must_use]
    pub fn limited(self, activity: &Activity, timeout: Option<Duration>) -> Self {
        let ceased = timeout.map(|timeout| Box::pin(activity.clone().ceased(Some(timeout))) as Pin<Box<_>>);
        self.watched(Watch { activity: activity.clone(), ceased })
    }

    /// The same body, which drops `guard` at its end.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.held.push(Box::new(guard));
        self
    }

    fn watched(self, watch: Watch) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }
}

impl Watch {
    fn poll_ceased(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(ceased) = &mut self.ceased else { return Poll::Pending };
        ready!(ceased.as_mut().poll(context));
        self.ceased = None;
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
        match (&moved, &mut this.watch) {
            (Poll::Ready(Some(Ok(_))), Some(watch)) => watch.activity.touch(),
            (Poll::Ready(None | Some(Err(_))), _) => this.held.clear(),
            (Poll::Pending, Some(watch)) => {
                if watch.poll_ceased(context).is_ready() {
                    this.source = Source::Empty;
                    this.held.clear();
                    return Poll::Ready(Some(Err(BodyError::Idle)));
                }
            }
            _ => {}
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
