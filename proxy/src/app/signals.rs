//! The signals that this process hears.

use std::{io, task::Poll};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Those that are passed on to the program. The first two also end the sidecar.
const HEARD: [(Signal, SignalKind); 6] = [
    (Signal::TERM, SignalKind::terminate()),
    (Signal::INT, SignalKind::interrupt()),
    (Signal::HUP, SignalKind::hangup()),
    (Signal::QUIT, SignalKind::quit()),
    (Signal::USR1, SignalKind::user_defined1()),
    (Signal::USR2, SignalKind::user_defined2()),
];

/// Hears signals from now on.
pub struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl Signals {
    /// From now on, they no longer do what they do by default.
    pub fn listen() -> io::Result<Self> {
        let heard = HEARD.into_iter().map(|(name, kind)| Ok((name, signal(kind)?)));
        heard.collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (name, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*name);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next one that asks this process to end; others are lost.
    pub async fn end(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if asks_to_end(signal) {
                return signal;
            }
        }
    }
}

/// Whether a signal asks this process to end.
pub fn asks_to_end(signal: Signal) -> bool {
    signal == Signal::TERM || signal == Signal::INT
}

/// What shells say of a process that a signal ended.
pub fn exit_code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}
