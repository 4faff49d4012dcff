//! What it takes to send a request once more: its head, and what of its body has gone out, as long as that is little.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{Activity, Body, BodyError, Request};

/// How much of a body that has gone out is kept, in bytes. More, and the request cannot be sent once more.
const MOST_KEPT: usize = 16 << 10;

/// A request that may have to be sent once more. What it keeps is given up when it is dropped.
pub struct Replay {
    head: Parts,
    /// None: there is no body.
    body: Option<Kept>,
    activity: Option<Activity>,
}

/// A body on its way, of which the beginning is kept.
#[derive(Clone)]
pub struct Kept(Arc<Mutex<State>>);

struct State {
    /// What is still to come. None: it goes out once more, elsewhere.
    rest: Option<Body>,
    /// What has gone out. None: more than is kept.
    sent: Option<VecDeque<Sent>>,
    /// How many bytes that is.
    size: usize,
}

enum Sent {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// A body whose beginning comes once more.
pub struct Again {
    sent: VecDeque<Sent>,
    rest: Box<Body>,
}

impl Replay {
    /// Keeps `request`, and gives the one to send.
    pub fn of(request: Request) -> (Self, Request) {
        let (head, body) = request.into_parts();
        let activity = body.activity();
        let (kept, body) = if body.is_end_stream() {
            (None, body)
        } else {
            let state = State { rest: Some(body), sent: Some(VecDeque::new()), size: 0 };
            let kept = Kept(Arc::new(Mutex::new(state)));
            (Some(kept.clone()), Body::kept(kept))
        };
        (Self { head: head.clone(), body: kept, activity }, Request::from_parts(head, body))
    }

    /// Whether doing it twice is doing it once (RFC 9110 §9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.head.method.is_idempotent()
    }

    /// The request once more, as it was. None: too much of it has gone out.
    pub fn again(&mut self) -> Option<Request> {
        let head = self.head.clone();
        let Some(kept) = &self.body else {
            let body = Body::default();
            let body = match &self.activity {
                Some(activity) => body.noted(activity),
                None => body,
            };
            return Some(Request::from_parts(head, body));
        };
        let mut state = kept.state();
        let sent = state.sent.take()?;
        let rest = Box::new(state.rest.take()?);
        Some(Request::from_parts(head, Body::again(Again { sent, rest })))
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(kept) = &self.body {
            kept.state().sent = None;
        }
    }
}

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(sent) = &mut self.sent else { return };
        self.size += frame.data_ref().map_or(0, Bytes::len);
        match (frame.data_ref(), frame.trailers_ref()) {
            _ if self.size > MOST_KEPT => self.sent = None,
            (Some(data), _) => sent.push_back(Sent::Data(data.clone())),
            (_, Some(trailers)) => sent.push_back(Sent::Trailers(trailers.clone())),
            _ => {}
        }
    }
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.state();
        let Some(rest) = &mut state.rest else { return Poll::Ready(Some(Err(BodyError::Elsewhere))) };
        let moved = Pin::new(rest).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &moved {
            state.keep(frame);
        }
        moved
    }

    pub(super) fn activity(&self) -> Option<Activity> {
        self.state().rest.as_ref()?.activity()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.state().rest.as_ref().is_some_and(Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.state().rest.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Again {
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.sent.pop_front() {
            Some(Sent::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Sent::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            None => Pin::new(&mut *self.rest).poll_frame(context),
        }
    }

    pub(super) fn activity(&self) -> Option<Activity> {
        self.rest.activity()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.sent.is_empty() && self.rest.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let size = |sent: &Sent| match sent {
            Sent::Data(data) => data.len() as u64,
            Sent::Trailers(_) => 0,
        };
        let sent: u64 = self.sent.iter().map(size).sum();
        let mut hint = self.rest.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(sent));
        }
        hint.set_lower(hint.lower().saturating_add(sent));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn request(body: Body) -> Request {
        http::Request::put("/x?y").header("x-mine", "1").body(body).unwrap()
    }

    async fn bytes(body: Body) -> usize {
        body.collect().await.unwrap().to_bytes().len()
    }

    #[tokio::test]
    async fn a_request_goes_out_once_more_as_it_was() {
        for (size, body) in
            [(0, Body::default()), (5, Body::full("hello")), (MOST_KEPT, Body::full(vec![0; MOST_KEPT]))]
        {
            let (mut replay, first) = Replay::of(request(body));
            let (head, sent) = first.into_parts();
            let hint = sent.size_hint().exact();
            assert_eq!(bytes(sent).await, size);
            let (again, body) = replay.again().unwrap().into_parts();
            assert_eq!((&again.method, &again.uri, &again.headers), (&head.method, &head.uri, &head.headers));
            assert_eq!((body.size_hint().exact(), bytes(body).await), (hint, size));
        }
    }

    #[tokio::test]
    async fn what_has_not_gone_out_yet_goes_out_with_the_rest_and_not_where_it_began() {
        let (mut replay, first) = Replay::of(request(Body::full("hello")));
        assert_eq!(bytes(replay.again().unwrap().into_body()).await, 5);
        assert!(first.into_body().collect().await.is_err(), "there it is cut off, and does not look whole");
        assert!(replay.again().is_none());
    }

    #[tokio::test]
    async fn a_long_body_is_not_kept() {
        let (mut replay, first) = Replay::of(request(Body::full(vec![0; MOST_KEPT + 1])));
        assert_eq!(bytes(first.into_body()).await, MOST_KEPT + 1);
        assert!(replay.again().is_none());
    }
}
