//! A connection whose caller may hang up its half once it has asked, and is answered all the same.
//!
//! Nobody can tell whoever hung up one half from whoever is gone, before something is sent there. So somebody has to look
//! for the end of what comes while nothing is asked for, and to wait for the caller only for a while.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::{activity::Activity, rewind::Rewind};

/// Such a connection.
pub struct Half<T> {
    inner: Rewind<T>,
    /// When something was last sent.
    sent: Activity,
    hung_up: watch::Sender<HungUp>,
}

/// Tells when a caller is gone, as far as can be told.
pub struct Presence {
    sent: Activity,
    hung_up: watch::Receiver<HungUp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HungUp {
    Neither,
    One,
    Both,
}

/// Splits what is served from what watches over it.
pub fn watched<T>(inner: Rewind<T>) -> (Half<T>, Presence) {
    let (sent, (hung_up, seen)) = (Activity::default(), watch::channel(HungUp::Neither));
    (Half { inner, sent: sent.clone(), hung_up }, Presence { sent, hung_up: seen })
}

impl Presence {
    /// Returns when the caller is gone for certain, or has hung up one half and taken nothing for `patience`.
    pub async fn ended(mut self, patience: Duration) {
        match self.hung_up.wait_for(|&hung_up| hung_up != HungUp::Neither).await.map(|hung_up| *hung_up) {
            Ok(HungUp::Both) => {}
            Ok(_) => self.sent.ceased(Some(patience)).await,
            Err(_) => std::future::pending().await,
        }
    }
}

impl<T: AsyncRead + Unpin> Half<T> {
    /// Looks for the end. Who serves the connection flushes it whenever it wakes up, and does not read while it answers.
    fn look(&mut self, context: &mut Context<'_>) {
        if *self.hung_up.borrow() != HungUp::Neither {
            return;
        }
        let Poll::Ready(more) = self.inner.poll_ahead(context) else { return };
        match more {
            Ok(true) => {}
            Ok(false) => {
                self.sent.touch();
                self.hung_up.send_replace(HungUp::One);
            }
            Err(_) => drop(self.hung_up.send_replace(HungUp::Both)),
        }
        // It may have been waiting for just what was read here.
        context.waker().wake_by_ref();
    }

    fn note(&self, sent: &Poll<io::Result<usize>>) {
        if matches!(sent, Poll::Ready(Ok(_))) {
            self.sent.touch();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Half<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Half<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note(&sent);
        sent
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.note(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look(context);
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
