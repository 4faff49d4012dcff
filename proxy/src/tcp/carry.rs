//! Carries what comes at each end of a connection to its other end, until both have ended, or one is cut off.
//!
//! Nothing is held while nothing moves: what comes is read into a block that all connections of a thread share, and goes on from
//! there. Only what the other end does not take at once has memory of its own, which is in the ledger, and nothing more is read until
//! it has gone.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{glance::Glance, stream::Stream};
use crate::{
    base::ledger::{Held, Holder, Room},
    message::Activity,
    telemetry::connection::Meter,
};

/// How much is read at once.
const BLOCK: usize = 64 << 10;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into_boxed_slice());
}

/// An end of a connection that was cut off.
#[derive(Debug)]
pub struct Cut {
    end: End,
    source: io::Error,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Opener,
    Other,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.end {
            End::Opener => "whoever opened it",
            End::Other => "the other end",
        };
        write!(f, "{who} broke it off: {}", self.source)
    }
}

/// Carries bytes between `opener` and `other`, of which `ahead` has come from the opener already. What moves is noted in `activity`
/// and counted by `meter`; `glance` sees what the opener says. Both ends are whoever's who calls this: after an error, or when this is given up, they are to be reset.
pub async fn carry(
    opener: &mut Stream,
    other: &mut Stream,
    ahead: Bytes,
    activity: &Activity,
    meter: &Meter,
    mut glance: Glance,
) -> Result<(), Cut> {
    let mut look = |bytes: &[u8]| {
        if let Some(name) = glance.at(bytes) {
            meter.names(name);
        }
    };
    look(&ahead);
    let mut there = Lane::new(activity, ahead);
    let mut back = Lane::new(activity, Bytes::new());
    poll_fn(|context| {
        let to = there.poll(context, opener, other, |count| meter.received(count), &mut look);
        let to = to.map_err(|(end, source)| Cut { end: end.of(End::Opener, End::Other), source })?;
        let from = back.poll(context, other, opener, |count| meter.sent(count), &mut |_| {});
        let from = from.map_err(|(end, source)| Cut { end: end.of(End::Other, End::Opener), source })?;
        if to.is_ready() && from.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// What goes one way.
struct Lane<'a> {
    activity: &'a Activity,
    holder: Option<&'a Arc<Holder>>,
    /// What has come and was not taken yet.
    left: Bytes,
    held: Option<Held>,
    /// Until there is room for more.
    room: Option<Room>,
    /// Something was written that may not have gone out.
    unflushed: bool,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    /// Nothing more will come, which the other end has to hear.
    Ending,
    Ended,
}

/// Which of its two ends a lane stumbled over.
#[derive(Clone, Copy)]
enum Stumbled {
    Reading,
    Writing,
}

impl Stumbled {
    fn of(self, from: End, to: End) -> End {
        match self {
            Self::Reading => from,
            Self::Writing => to,
        }
    }
}

type Step<T> = Poll<Result<T, (Stumbled, io::Error)>>;

impl<'a> Lane<'a> {
    fn new(activity: &'a Activity, left: Bytes) -> Self {
        let holder = activity.holder();
        let held = holder.filter(|_| !left.is_empty()).map(|holder| Held::new(holder, left.len() as u64));
        let unflushed = false;
        Self { activity, holder, left, held, room: None, unflushed, progress: Progress::Open }
    }

    /// Goes on as far as it can, with a `look` at what comes. Ready: nothing will come any more, and the other end knows.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        count: impl Fn(u64),
        look: &mut impl FnMut(&[u8]),
    ) -> Step<()> {
        loop {
            ready!(self.write_what_is_left(context, to, &count))?;
            match self.progress {
                Progress::Open => ready!(self.read(context, from, to, &count, look))?,
                Progress::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context)).map_err(|error| (Stumbled::Writing, error))?;
                    self.progress = Progress::Ended;
                }
                Progress::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn write_what_is_left(&mut self, context: &mut Context<'_>, to: &mut Stream, count: &impl Fn(u64)) -> Step<()> {
        while !self.left.is_empty() {
            let written = ready!(self.write(context, to, &self.left.clone()))?;
            count(written as u64);
            self.left.advance(written);
        }
        // Only an empty one is of no use to anybody.
        if self.held.take().is_some() {
            self.left = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, context: &mut Context<'_>, to: &mut Stream, bytes: &[u8]) -> Step<usize> {
        let written = ready!(Pin::new(to).poll_write(context, bytes)).map_err(|error| (Stumbled::Writing, error))?;
        if written == 0 {
            return Poll::Ready(Err((Stumbled::Writing, io::ErrorKind::WriteZero.into())));
        }
        self.unflushed = true;
        self.activity.touch();
        Poll::Ready(Ok(written))
    }

    /// Reads once, and writes what that gave as far as it is taken.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        count: &impl Fn(u64),
        look: &mut impl FnMut(&[u8]),
    ) -> Step<()> {
        ready!(self.wait_for_room(context));
        SHARED.with_borrow_mut(|block| {
            let mut buffer = ReadBuf::new(block);
            match Pin::new(from).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    // Nobody else will do it while nothing comes.
                    if self.unflushed {
                        let flushed = ready!(Pin::new(to).poll_flush(context));
                        flushed.map_err(|error| (Stumbled::Writing, error))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
                Poll::Ready(read) => read.map_err(|error| (Stumbled::Reading, error))?,
            }
            self.activity.touch();
            let mut read = buffer.filled();
            if read.is_empty() {
                self.progress = Progress::Ending;
                return Poll::Ready(Ok(()));
            }
            look(read);
            while !read.is_empty() {
                match self.write(context, to, read)? {
                    Poll::Ready(written) => {
                        count(written as u64);
                        read = &read[written..];
                    }
                    Poll::Pending => {
                        self.left = Bytes::copy_from_slice(read);
                        self.held = self.holder.map(|holder| Held::new(holder, read.len() as u64));
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Until there is room for what may come.
    fn wait_for_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(holder) = self.holder else { return Poll::Ready(()) };
        loop {
            if let Some(room) = &mut self.room {
                ready!(room.as_mut().poll(context));
                self.room = None;
            }
            match holder.account().admit(BLOCK as u64) {
                Ok(()) => return Poll::Ready(()),
                Err(room) => self.room = Some(room),
            }
        }
    }
}
