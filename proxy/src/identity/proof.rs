//! What the other side of a connection proved when it was made, and whether that holds still: a trust anchor may have been
//! taken away since.

use std::{
    future::pending,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use rustls::pki_types::CertificateDer;

use super::credentials::Credentials;
use crate::base::published::Published;

/// Which side the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It called us.
    Caller,
    /// We called it.
    Server,
}

/// A chain that was believed once.
#[derive(Debug)]
pub struct Proof {
    side: Side,
    chain: Vec<CertificateDer<'static>>,
    /// The anchors under which it was last believed.
    under: AtomicU64,
}

impl Proof {
    /// `chain`, leaf first, has just been believed by `us`.
    pub fn new(side: Side, chain: &[CertificateDer<'static>], us: &Credentials) -> Self {
        Self { side, chain: chain.to_vec(), under: AtomicU64::new(us.anchors_mark()) }
    }

    /// Whether `us`, as we are now, would believe it.
    pub fn holds(&self, us: &Credentials) -> bool {
        let mark = us.anchors_mark();
        if self.under.load(Ordering::Relaxed) == mark {
            return true;
        }
        let holds = us.believes(self.side, &self.chain, SystemTime::now());
        if holds {
            self.under.store(mark, Ordering::Relaxed);
        }
        holds
    }

    /// Returns when it holds no longer.
    pub async fn broken(&self, us: &Published<Credentials>) {
        let mut swapped = us.watch();
        while self.holds(&us.now()) {
            if swapped.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }
}
