//! The bytes of bodies that this process holds, and whose they are. They are reserved before they are read: when there is no
//! room for more, nothing more is read, and so the other side is held back, until what is there has gone on or is given up.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, futures::OwnedNotified};

/// When it was full, reading begins anew once a part of it is free: one of so many.
const FREE: u64 = 4;

/// All that is held.
#[derive(Debug)]
pub struct Ledger {
    all: Space,
    /// How much one peer may have of it.
    each: u64,
    /// Somebody was held back.
    shortage: Notify,
}

/// What one peer holds of it.
#[derive(Debug)]
pub struct Account {
    ledger: Arc<Ledger>,
    own: Space,
}

/// So many bytes, and those who wait for some of them to be free.
#[derive(Debug)]
struct Space {
    most: u64,
    held: AtomicU64,
    full: AtomicBool,
    freed: Arc<Notify>,
}

/// Returns when it is worth asking again.
pub type Room = Pin<Box<OwnedNotified>>;

impl Space {
    fn new(most: u64) -> Self {
        Self { most, held: AtomicU64::new(0), full: AtomicBool::new(false), freed: Arc::default() }
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Down to where there has to be room before anything more is read, once it was full.
    fn low(&self) -> u64 {
        self.most - self.most / FREE
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn admit(&self, count: u64) -> Result<(), Room> {
        if !self.is_full() && self.held().saturating_add(count) <= self.most {
            return Ok(());
        }
        // Whatever is freed from here on is heard, and what was freed just before is seen.
        let room = Box::pin(self.freed.clone().notified_owned());
        self.full.store(true, Ordering::Relaxed);
        self.look();
        Err(room)
    }

    /// Holds more, and says whether that is more than there is room for: not everything can be held back.
    fn add(&self, count: u64) -> bool {
        let too_much = self.held.fetch_add(count, Ordering::Relaxed).saturating_add(count) > self.most;
        if too_much {
            self.full.store(true, Ordering::Relaxed);
        }
        too_much
    }

    fn sub(&self, count: u64) {
        self.held.fetch_sub(count, Ordering::Relaxed);
        if self.is_full() {
            self.look();
        }
    }

    /// Whether there is room again, for those who wait for it.
    fn look(&self) {
        if self.held() <= self.low() && self.full.swap(false, Ordering::Relaxed) {
            self.freed.notify_waiters();
        }
    }

    fn excess(&self) -> u64 {
        if self.is_full() { self.held().saturating_sub(self.low()) } else { 0 }
    }
}

impl Ledger {
    /// For so many bytes, of which one peer may have `each`.
    pub fn new(most: u64, each: u64) -> Self {
        Self { all: Space::new(most), each, shortage: Notify::new() }
    }

    /// That of a peer who holds nothing yet. `limited`: it may have no more than a share.
    pub fn account(self: &Arc<Self>, limited: bool) -> Account {
        let own = if limited { self.each } else { u64::MAX };
        Account { ledger: self.clone(), own: Space::new(own) }
    }

    /// Whether so many bytes more, whoever's they are, may be read.
    pub fn admit(&self, count: u64) -> Result<(), Room> {
        self.all.admit(count).inspect_err(|_| self.shortage.notify_one())
    }

    /// How much is held.
    pub fn held(&self) -> u64 {
        self.all.held()
    }

    /// How much has to go before anything more is read; 0: somebody reads.
    pub fn excess(&self) -> u64 {
        self.all.excess()
    }

    /// Returns when somebody was held back since it last did. For one listener.
    pub async fn shortage(&self) {
        self.shortage.notified().await;
    }
}

impl Account {
    /// Whether its peer may have so many bytes more read.
    pub fn admit(&self, count: u64) -> Result<(), Room> {
        self.own.admit(count).inspect_err(|_| self.ledger.shortage.notify_one())?;
        self.ledger.admit(count)
    }

    /// So many more are held.
    pub fn add(&self, count: u64) {
        if self.own.add(count) | self.ledger.all.add(count) {
            self.ledger.shortage.notify_one();
        }
    }

    /// So many have gone.
    pub fn sub(&self, count: u64) {
        self.own.sub(count);
        self.ledger.all.sub(count);
    }

    /// How much its peer holds.
    pub fn held(&self) -> u64 {
        self.own.held()
    }

    /// How much of it has to go before anything more of its peer is read.
    pub fn excess(&self) -> u64 {
        self.own.excess()
    }
}

/// What holds bytes for a peer: one of its requests, or its connection.
#[derive(Debug)]
pub struct Holder {
    account: Arc<Account>,
    held: AtomicU64,
}

impl Holder {
    /// Of a peer with this account.
    pub fn of(account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self { account, held: AtomicU64::new(0) })
    }

    /// Whose it is.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// How much it holds.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// Bytes that are held for as long as this is.
#[derive(Debug)]
pub struct Held {
    holder: Arc<Holder>,
    count: u64,
}

impl Held {
    /// So many.
    pub fn new(holder: &Arc<Holder>, count: u64) -> Self {
        let mut held = Self { holder: holder.clone(), count: 0 };
        held.add(count);
        held
    }

    /// So many more.
    pub fn add(&mut self, count: u64) {
        self.holder.held.fetch_add(count, Ordering::Relaxed);
        self.holder.account.add(count);
        self.count += count;
    }

    /// Gives some of them, no more than there are, on to somebody else.
    #[must_use]
    pub fn split(&mut self, count: u64) -> Self {
        let count = count.min(self.count);
        self.count -= count;
        Self { holder: self.holder.clone(), count }
    }

    /// They are held by `holder` from now on.
    pub fn hand_over(&mut self, holder: &Arc<Holder>) {
        *self = Self::new(holder, self.count);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holder.held.fetch_sub(self.count, Ordering::Relaxed);
        self.holder.account.sub(self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_held_back_hears_of_room_once_there_is_enough_of_it() {
        let ledger = Arc::new(Ledger::new(160, 100));
        let (one, other) = (Arc::new(ledger.account(true)), Arc::new(ledger.account(false)));
        let mut mine = Held::new(&Holder::of(one.clone()), 90);
        assert!(one.admit(10).is_ok());
        assert!(one.admit(11).is_err(), "it has a share");
        ledger.shortage().await;
        assert_eq!((one.excess(), ledger.excess()), (15, 0));
        assert!(one.admit(1).is_err(), "nothing more is read until there is room that is worth it");
        let waits = one.admit(1).unwrap_err();
        drop(mine.split(15));
        waits.await;
        let theirs = Held::new(&Holder::of(other.clone()), 80);
        assert!(one.admit(6).is_err(), "there is a bound for all");
        assert_eq!((one.excess(), ledger.excess()), (0, 35));
        let waits = other.admit(1).unwrap_err();
        drop(theirs);
        waits.await;
        mine.hand_over(&Holder::of(other.clone()));
        assert_eq!((one.held(), other.held()), (0, 75));
        drop(mine);
        assert_eq!((ledger.held(), one.held(), other.held()), (0, 0, 0));
    }
}
