//! A thread with a runtime of its own. What serves requests has one for itself: whatever else a sidecar does, be it to
//! write to a disk that is slow or to answer a scrape, no request waits for it.

use std::{io, sync::mpsc, thread};

use tokio::{
    net::TcpListener,
    runtime::{Builder, EnterGuard, Handle},
    sync::oneshot,
};

/// A thread that runs what it is given, until this is dropped.
pub struct Worker {
    handle: Handle,
    _ends_when_dropped: oneshot::Sender<()>,
}

impl Worker {
    /// Starts it. Its name is what `top -H` shows.
    pub fn start(name: &str) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(sender.send(Err(error))),
            };
            if sender.send(Ok(runtime.handle().clone())).is_ok() {
                // Nobody says anything: it is dropped.
                let _ = runtime.block_on(stopped);
            }
            runtime.shutdown_background();
        })?;
        let handle = receiver.recv().map_err(io::Error::other)??;
        Ok(Self { handle, _ends_when_dropped: stop })
    }

    /// While this is held, `tokio::spawn` gives tasks to this thread.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Brings a listener over to this thread.
    pub fn adopt(&self, listener: TcpListener) -> io::Result<TcpListener> {
        let listener = listener.into_std()?;
        let _inside = self.enter();
        TcpListener::from_std(listener)
    }
}
