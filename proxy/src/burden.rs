//! Requests on their way, by whose they are, and which of them are given up when memory runs short: those of which
//! something has come that nobody takes, first of whoever has most of these, and of them those that have stood still for
//! longest. A request that waits for more, as a subscription does, holds nothing and is left alone.

use std::{
    collections::HashMap,
    fs,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tracing::warn;

use crate::{http::Activity, shares::neighbourhood, spiffe::SpiffeId};

/// Nobody but the program has more than one of so many requests.
const EACH: usize = 2;

/// What a request is taken to hold of which something has come that nobody takes: what may lie unread on one stream, and
/// what may wait to be sent.
const ONE: u64 = 320 << 10;

/// How often memory is looked at while anything is on its way: when there is plenty, and when there is not. A look is
/// some microseconds of a thread that carries no requests, and a machine that talks to itself can bring a GiB in a second.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(5));

/// Whose a request is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A member of the mesh.
    Member(SpiffeId),
    /// Somebody without an identity, at this address.
    Stranger(IpAddr),
    /// The program beside this sidecar.
    Program,
}

/// All that is on its way.
#[derive(Debug)]
pub struct Burden {
    /// How much memory the process may have, in bytes.
    most: u64,
    /// How many requests one owner may have.
    each: usize,
    carried: Mutex<Carried>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Carried {
    next: u64,
    requests: HashMap<u64, (Owner, Activity)>,
    by: HashMap<Owner, usize>,
}

/// Counts as a request on its way.
#[derive(Debug)]
pub struct Load {
    burden: Arc<Burden>,
    id: u64,
}

impl Owner {
    /// Who calls.
    pub fn caller(id: Option<&SpiffeId>, address: IpAddr) -> Self {
        id.map_or_else(|| Self::Stranger(neighbourhood(address)), |id| Self::Member(id.clone()))
    }
}

impl Burden {
    /// For a process that may have so much memory, and so many requests at once.
    pub fn new(most: u64, requests: usize) -> Self {
        Self { most, each: (requests / EACH).max(1), carried: Mutex::default(), some: Notify::new() }
    }

    /// Takes one more. `None`: its owner has too many.
    pub fn take(self: &Arc<Self>, owner: Owner, activity: &Activity) -> Option<Load> {
        let mut carried = self.carried();
        match carried.by.get_mut(&owner) {
            Some(count) if *count >= self.each && owner != Owner::Program => return None,
            Some(count) => *count += 1,
            None => drop(carried.by.insert(owner.clone(), 1)),
        }
        let id = carried.next;
        carried.next += 1;
        carried.requests.insert(id, (owner, activity.clone()));
        if carried.requests.len() == 1 {
            self.some.notify_one();
        }
        Some(Load { burden: self.clone(), id })
    }

    /// Looks for ever how much memory there is, while anything is on its way, and gives up what has to be.
    pub async fn keep_within(self: Arc<Self>) {
        loop {
            if self.carried().requests.is_empty() {
                self.some.notified().await;
            }
            let used = memory().unwrap_or(0);
            if let Some(excess) = used.checked_sub(self.most).filter(|excess| *excess > 0) {
                let count = self.shed(excess);
                if count > 0 {
                    warn!(used, most = self.most, count, "memory runs short; gave up requests that stood still");
                }
            }
            sleep(if used < self.most / 2 { LOOK.0 } else { LOOK.1 }).await;
        }
    }

    /// Gives up as many as hold `excess`, and gives their number.
    fn shed(&self, excess: u64) -> usize {
        let carried = self.carried();
        let standing: Vec<(&Owner, &Activity)> = carried
            .requests
            .values()
            .map(|(owner, activity)| (owner, activity))
            .filter(|(_, a)| a.is_unread())
            .collect();
        let mut by = HashMap::new();
        for (owner, _) in &standing {
            *by.entry(*owner).or_insert(0_usize) += 1;
        }
        let order = |(owner, activity): &(&Owner, &Activity)| (usize::MAX - by[owner], activity.moved_at());
        let mut standing = standing;
        standing.sort_by_key(order);
        let count = usize::try_from(excess.div_ceil(ONE)).unwrap_or(usize::MAX).min(standing.len());
        standing[..count].iter().for_each(|(_, activity)| activity.give_up());
        count
    }

    fn carried(&self) -> MutexGuard<'_, Carried> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut carried = self.burden.carried();
        let Some((owner, _)) = carried.requests.remove(&self.id) else { return };
        if let Some(count) = carried.by.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                carried.by.remove(&owner);
            }
        }
    }
}

/// How much memory this process has, in bytes.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(last: u8) -> Owner {
        Owner::caller(None, [10, 0, 0, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_is_given_up_first_of_whoever_has_most() {
        let burden = Arc::new(Burden::new(0, 100));
        let mut loads = Vec::new();
        let mut carry = |owner: Owner, unread: bool| {
            let activity = Activity::default();
            activity.set_unread(unread);
            loads.push(burden.take(owner, &activity).unwrap());
            activity
        };
        let waits = carry(stranger(1), false);
        let few = carry(stranger(2), true);
        let many: Vec<_> = (0..3).map(|_| carry(stranger(1), true)).collect();
        tokio::time::advance(Duration::from_secs(1)).await;
        many[0].touch();
        assert_eq!(burden.shed(2 * ONE), 2);
        let given_up = |activity: &Activity| activity.is_given_up();
        assert_eq!(many.iter().map(given_up).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(burden.shed(100 * ONE), 4, "all that stand still, and no more");
        assert!(given_up(&few) && !given_up(&waits));
        loads.clear();
        assert!(burden.carried().by.is_empty() && burden.carried().requests.is_empty());
    }

    #[tokio::test]
    async fn nobody_but_the_program_has_more_than_a_share() {
        let burden = Arc::new(Burden::new(0, 4));
        let take = |owner: &Owner| burden.take(owner.clone(), &Activity::default());
        let _two = (take(&stranger(1)).unwrap(), take(&stranger(1)).unwrap());
        assert!(take(&stranger(1)).is_none());
        assert!(take(&stranger(2)).is_some());
        let _three = [(); 3].map(|()| take(&Owner::Program).unwrap());
    }

    #[test]
    fn the_system_says_how_much_memory_there_is() {
        assert!(memory().unwrap() > 1 << 20);
    }
}
