//! A way to somewhere that can be lost: a relay that stops carrying anything, and neither closes nor refuses.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// Carries connections to one place.
pub struct Relay {
    pub address: SocketAddr,
    /// Connections with this number and less are lost.
    lost: watch::Sender<usize>,
    /// Those with this number and less are closed.
    closed: watch::Sender<usize>,
    made: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn to(place: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (lost, closed, made) = (watch::Sender::new(0), watch::Sender::new(0), Arc::<AtomicUsize>::default());
        let (losing, closing, count) = (lost.clone(), closed.clone(), made.clone());
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                let (from, to) = here.into_split();
                let (back, on) = TcpStream::connect(place).await.unwrap().into_split();
                for (from, to) in [(from, on), (back, to)] {
                    let (carrying, mut closed) = (carry(from, to, losing.subscribe(), number), closing.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = carrying => {}
                            _ = closed.wait_for(|&closed| number <= closed) => {}
                        }
                    });
                }
            }
        });
        Self { address, lost, closed, made }
    }

    /// How many connections came.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// From now on nothing comes through on the connections that there are. New ones are carried.
    pub fn lose(&self) {
        self.lost.send_replace(self.made());
    }

    /// The connections that there are are closed, both ways.
    pub fn close(&self) {
        self.closed.send_replace(self.made());
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut lost: watch::Receiver<usize>, number: usize) {
    let mut buffer = vec![0; 64 << 10];
    let carrying = async {
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let is_lost = async { drop(lost.wait_for(|&lost| number <= lost).await) };
    tokio::select! {
        biased;
        () = is_lost => {}
        () = carrying => return,
    }
    // Both ends stay open, and nobody looks at them.
    std::future::pending::<()>().await;
}
