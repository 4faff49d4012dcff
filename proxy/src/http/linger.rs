//! A connection that is closed in a way that lets the last answer arrive (RFC 9112 §9.6): if bytes come that nobody reads,
//! the system resets the connection, and the answer is lost on the way.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long the other side may be silent before it is taken to have heard.
const SILENCE: Duration = Duration::from_secs(2);

/// How long it may go on in any case.
const LONGEST: Duration = Duration::from_secs(30);

/// How much is thrown away at once, in bytes.
const GULP: usize = 16 << 10;

/// A connection that, once it is shut down, reads on for a while and throws away what comes.
pub struct Linger<T> {
    inner: T,
    farewell: Option<Farewell>,
}

struct Farewell {
    began: Instant,
    silent: Pin<Box<Sleep>>,
    buffer: Box<[u8]>,
}

impl<T> Linger<T> {
    /// The same connection.
    pub fn new(inner: T) -> Self {
        Self { inner, farewell: None }
    }

    /// It, to be closed in another way.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
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
        let this = &mut *self;
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let now = Instant::now();
        let farewell = this.farewell.get_or_insert_with(|| Farewell {
            began: now,
            silent: Box::pin(sleep_until(now + SILENCE)),
            buffer: vec![0; GULP].into_boxed_slice(),
        });
        loop {
            let mut buffer = ReadBuf::new(&mut farewell.buffer);
            match pin!(&mut this.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let end = (Instant::now() + SILENCE).min(farewell.began + LONGEST);
                    farewell.silent.as_mut().reset(end);
                    if end <= Instant::now() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return farewell.silent.as_mut().poll(context).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_still_comes_is_read_until_nothing_does() {
        let (mut caller, ours) = duplex(64);
        let mut ours = Linger::new(ours);
        let began = Instant::now();
        let closing = tokio::spawn(async move {
            ours.write_all(b"no").await.unwrap();
            ours.shutdown().await.unwrap();
        });
        caller.write_all(&[0; 1000]).await.unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "no");
        closing.await.unwrap();
        assert_eq!(began.elapsed(), SILENCE, "nothing came any more");
        let (caller, ours) = duplex(64);
        drop(caller);
        Linger::new(ours).shutdown().await.unwrap();
        assert_eq!(began.elapsed(), SILENCE, "who is gone is not waited for");
    }
}
