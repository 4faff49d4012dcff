//! What has come of bodies on a connection of HTTP/2 and was not taken yet. The engine buffers it before anybody asks for it;
//! so it is counted where it is read from the connection, and nothing is read that there is no room for.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::frames::{Data, Frames};
use crate::base::ledger::{Account, Held, Holder, Ledger, Room};

/// What the engine needs to keep one part of a body, beside its bytes.
const EACH: usize = 256;

/// What has come on one connection.
#[derive(Clone, Debug)]
pub struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    streams: Mutex<Streams>,
    began: Instant,
    /// Milliseconds since it began until something was read.
    read: AtomicU64,
    /// There is no room for what might come.
    held_back: AtomicBool,
}

/// Whose bodies come on a connection.
#[derive(Debug)]
enum Source {
    /// All of them this caller's: until it is known which request they are part of, they are held by its connection.
    Caller(Arc<Holder>),
    /// Those that whoever sent a request asked for.
    Asked(Arc<Ledger>),
}

#[derive(Debug, Default)]
struct Streams {
    /// Those that somebody reads.
    open: HashMap<u32, Held>,
    /// Those of which something has come before anybody could know of them.
    early: HashMap<u32, Held>,
    /// The last one that somebody knows of. Whatever comes on others before it is thrown away.
    last: u32,
}

/// The body of one stream, as long as somebody reads it. What was not taken is let go with it.
#[derive(Debug)]
pub struct Reading {
    intake: Intake,
    stream: u32,
}

impl Intake {
    /// Of a caller's connection.
    pub fn of_caller(account: &Arc<Account>) -> Self {
        Self::new(Source::Caller(Holder::of(account.clone())))
    }

    /// Of a connection on which we ask.
    pub fn of_answers(ledger: Arc<Ledger>) -> Self {
        Self::new(Source::Asked(ledger))
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Inner {
            source,
            streams: Mutex::default(),
            began: Instant::now(),
            read: AtomicU64::new(0),
            held_back: AtomicBool::new(false),
        }))
    }

    /// Somebody reads the body of `stream` from now on, and `holder` holds what comes.
    pub fn open(&self, stream: u32, holder: &Arc<Holder>) -> Reading {
        let mut streams = self.streams();
        let mut held = streams.early.remove(&stream).unwrap_or_else(|| Held::new(holder, 0));
        held.hand_over(holder);
        streams.open.insert(stream, held);
        streams.pass(stream);
        Reading { intake: self.clone(), stream }
    }

    /// A caller's `stream` whose body somebody reads from now on; it is not known yet which request it is part of.
    pub fn open_early(&self, stream: u32) -> Option<Reading> {
        match &self.0.source {
            Source::Caller(holder) => Some(self.open(stream, holder)),
            Source::Asked(_) => None,
        }
    }

    /// Nobody will read anything on `stream`, nor on any before it that nobody knows of.
    pub fn pass(&self, stream: u32) {
        self.streams().pass(stream);
    }

    /// How long ago something was read. Zero, as long as there is no room for what might have come.
    pub fn silent_for(&self) -> Duration {
        if self.0.held_back.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.0.began.elapsed().saturating_sub(Duration::from_millis(self.0.read.load(Ordering::Relaxed)))
    }

    fn admit(&self, count: u64) -> Result<(), Room> {
        match &self.0.source {
            Source::Caller(holder) => holder.account().admit(count),
            Source::Asked(ledger) => ledger.admit(count),
        }
    }

    fn arrived(&self, frames: &mut Frames, bytes: &[u8]) {
        let now = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.read.store(now, Ordering::Relaxed);
        frames.read(bytes, |data| self.streams().arrived(data, &self.0.source));
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn arrived(&mut self, Data { stream, length, last }: Data, source: &Source) {
        // The engine keeps nothing of what says nothing.
        if length == 0 && !last {
            return;
        }
        let count = cost(length);
        match (self.open.get_mut(&stream), source) {
            (Some(held), _) => held.add(count),
            (None, Source::Caller(holder)) if stream > self.last => {
                self.early.entry(stream).or_insert_with(|| Held::new(holder, 0)).add(count);
            }
            (None, _) => {}
        }
    }

    fn pass(&mut self, stream: u32) {
        self.last = self.last.max(stream);
        if !self.early.is_empty() {
            let last = self.last;
            self.early.retain(|early, _| *early > last);
        }
    }
}

impl Reading {
    /// From now on it is held by `holder`.
    pub fn hand_over(&self, holder: &Arc<Holder>) {
        if let Some(held) = self.intake.streams().open.get_mut(&self.stream) {
            held.hand_over(holder);
        }
    }

    /// One part of it, so long, is taken; it is held for as long as what this gives.
    pub fn take(&self, length: usize) -> Option<Held> {
        self.intake.streams().open.get_mut(&self.stream).map(|held| held.split(cost(length)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let held = self.intake.streams().open.remove(&self.stream);
        drop(held);
    }
}

fn cost(length: usize) -> u64 {
    u64::try_from(length.saturating_add(EACH)).unwrap_or(u64::MAX)
}

/// A connection from which nothing is read that there is no room for.
pub struct Metered<T> {
    inner: T,
    intake: Intake,
    frames: Frames,
    room: Option<Room>,
}

impl<T> Metered<T> {
    /// The connection of `intake`, on which so many bytes come before the first frame.
    pub fn new(inner: T, intake: Intake, before: usize) -> Self {
        Self { inner, intake, frames: Frames::after(before), room: None }
    }

    /// Waits until there is room for so much more.
    fn poll_room(&mut self, context: &mut Context<'_>, count: u64) -> Poll<()> {
        loop {
            if let Some(room) = &mut self.room {
                ready!(room.as_mut().poll(context));
                self.room = None;
            }
            let admitted = self.intake.admit(count);
            self.intake.0.held_back.store(admitted.is_err(), Ordering::Relaxed);
            match admitted {
                Ok(()) => return Poll::Ready(()),
                Err(room) => self.room = Some(room),
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let count = u64::try_from(buffer.remaining()).unwrap_or(u64::MAX);
        ready!(this.poll_room(context, count));
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            this.intake.arrived(&mut this.frames, bytes);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
