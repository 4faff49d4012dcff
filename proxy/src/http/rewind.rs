//! A connection of which some bytes have been read ahead, to see which version of HTTP it speaks.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that gives what was read ahead first.
pub struct Rewind<T> {
    ahead: Bytes,
    inner: T,
}

/// Reads until it is clear whether `io` speaks HTTP/2. `None`: it ended before it said anything.
pub async fn read_ahead<T: AsyncRead + Unpin>(mut io: T) -> io::Result<Option<(Rewind<T>, bool)>> {
    let mut read = [0; PREFACE.len()];
    let mut count = 0;
    while count < PREFACE.len() && read[..count] == PREFACE[..count] {
        match io.read(&mut read[count..]).await? {
            0 if count == 0 => return Ok(None),
            0 => break,
            more => count += more,
        }
    }
    let http2 = read[..count] == *PREFACE;
    Ok(Some((Rewind { ahead: Bytes::copy_from_slice(&read[..count]), inner: io }, http2)))
}

impl<T> Rewind<T> {
    /// The connection, and what was read ahead and nobody has taken.
    pub fn into_parts(self) -> (T, Bytes) {
        (self.inner, self.ahead)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_the_versions_apart_and_loses_nothing() {
        let cases: [(&[u8], bool); 5] = [
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", true),
            (b"PRI * HTTP/1.1\r\n\r\n", false),
            (b"POST /", false),
            (b"PR", false),
        ];
        for (sent, expected) in cases {
            let (mut rewind, http2) = read_ahead(sent).await.unwrap().unwrap();
            assert_eq!(http2, expected, "{sent:?}");
            let mut received = Vec::new();
            rewind.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, sent);
        }
        assert!(read_ahead(&b""[..]).await.unwrap().is_none());
    }
}
