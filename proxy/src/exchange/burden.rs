//! Requests on their way, by whose they are, and which of them are given up when there is no room for what they hold: those of
//! which something has come that does not go on, first of whoever holds most, and of them those that have stood still for
//! longest. A request that waits for more, as a subscription does, holds nothing and is left alone.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tracing::warn;

use crate::{
    base::{
        gate::{Gate, Pass},
        ledger::{Account, Ledger},
        shares::neighbourhood,
        spiffe::SpiffeId,
    },
    message::Activity,
};

/// Nobody but the program has more than one of so many requests, or bytes.
const EACH: usize = 2;

/// One of so many bytes of memory is for what is on its way; the others are for connections, heads and the sidecar itself.
const BODIES: u64 = 2;

/// So many bytes there are for that in any case.
const LEAST: u64 = 1 << 20;

/// How long a request has to have stood still before it is given up. Until then it is enough that nobody reads more.
const STILL: Duration = Duration::from_millis(250);

/// How often is looked how much memory the process really has.
const LOOK: Duration = Duration::from_secs(1);

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
    ledger: Arc<Ledger>,
    carried: Mutex<Carried>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Carried {
    next: u64,
    requests: HashMap<u64, Activity>,
    portions: HashMap<Owner, Weak<Portion>>,
}

/// What one owner has on its way, over whichever connections.
#[derive(Debug)]
pub struct Portion {
    /// The bytes.
    pub account: Arc<Account>,
    requests: Gate,
}

/// Counts as a request on its way.
#[derive(Debug)]
pub struct Load {
    burden: Arc<Burden>,
    id: u64,
    _of: Arc<Portion>,
    _pass: Pass,
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
        let bodies = (most / BODIES).max(LEAST);
        let ledger = Arc::new(Ledger::new(bodies, bodies / EACH as u64));
        Self { most, each: (requests / EACH).max(1), ledger, carried: Mutex::default(), some: Notify::new() }
    }

    /// The bytes that are held, whoever's they are.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// What `owner` has on its way. It is remembered for as long as somebody has it, or anything of it is left.
    pub fn portion(&self, owner: Owner) -> Arc<Portion> {
        let mut carried = self.carried();
        if let Some(known) = carried.portions.get(&owner).and_then(Weak::upgrade) {
            return known;
        }
        carried.portions.retain(|_, portion| portion.strong_count() > 0);
        let limited = owner != Owner::Program;
        let portion = Arc::new(Portion {
            account: Arc::new(self.ledger.account(limited)),
            requests: Gate::new(if limited { self.each } else { usize::MAX }),
        });
        carried.portions.insert(owner, Arc::downgrade(&portion));
        portion
    }

    /// Takes one more. `None`: its owner has too many.
    pub fn take(self: &Arc<Self>, of: &Arc<Portion>) -> Option<(Activity, Load)> {
        let pass = of.requests.enter()?;
        let activity = Activity::of(of.account.clone());
        let mut carried = self.carried();
        let id = carried.next;
        carried.next += 1;
        carried.requests.insert(id, activity.clone());
        if carried.requests.len() == 1 {
            self.some.notify_one();
        }
        Some((activity, Load { burden: self.clone(), id, _of: of.clone(), _pass: pass }))
    }

    /// Looks for ever, while anything is on its way, whether somebody is held back for the sake of what stands still, and gives
    /// up what has to be.
    pub async fn keep_within(self: Arc<Self>) {
        loop {
            if self.carried().requests.is_empty() {
                self.some.notified().await;
            }
            let is_short = self.is_short();
            tokio::select! {
                () = self.ledger.shortage(), if !is_short => sleep(STILL).await,
                () = sleep(if is_short { STILL } else { LOOK }) => {}
            }
            // What cannot be seen in the ledger: what connections and heads take, and how memory is handed out.
            let used = memory().unwrap_or(0);
            let count = self.shed(used.saturating_sub(self.most), Instant::now());
            if count > 0 {
                let (held, most) = (self.ledger.held(), self.most);
                warn!(used, held, most, count, "memory runs short; gave up requests that stood still");
            }
        }
    }

    /// Gives up what holds what has to go, `more` of it at least, and gives the number of requests that this came to.
    fn shed(&self, more: u64, now: Instant) -> usize {
        let carried = self.carried();
        let holding: Vec<Holding<'_>> = carried.requests.values().filter_map(Holding::of).collect();
        let mut count = 0;
        for portion in carried.portions.values().filter_map(Weak::upgrade) {
            let own: Vec<_> =
                holding.iter().filter(|one| std::ptr::eq(one.account, Arc::as_ptr(&portion.account))).collect();
            count += give_up(own, portion.account.excess(), now);
        }
        count + give_up(holding.iter().collect(), self.ledger.excess().max(more), now)
    }

    /// Whether somebody is held back.
    fn is_short(&self) -> bool {
        let short = |portion: Arc<Portion>| portion.account.excess() > 0;
        self.ledger.excess() > 0 || self.carried().portions.values().filter_map(Weak::upgrade).any(short)
    }

    fn carried(&self) -> MutexGuard<'_, Carried> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that holds something.
struct Holding<'a> {
    activity: &'a Activity,
    account: &'a Account,
    held: u64,
}

impl<'a> Holding<'a> {
    fn of(activity: &'a Activity) -> Option<Self> {
        let holder = activity.holder()?;
        let held = holder.held();
        (held > 0).then_some(Self { activity, account: holder.account(), held })
    }
}

/// Gives up as many of these as hold `excess`, beside those that were given up already and have not gone yet.
fn give_up(mut requests: Vec<&Holding<'_>>, excess: u64, now: Instant) -> usize {
    let (going, staying): (Vec<_>, Vec<_>) = requests.drain(..).partition(|one| one.activity.is_given_up());
    let mut left = excess.saturating_sub(going.iter().map(|one| one.held).sum());
    let moved = |one: &Holding<'_>| one.activity.moved_at().filter(|moved| now.duration_since(*moved) >= STILL);
    let mut standing: Vec<_> = staying.into_iter().filter_map(|one| Some((moved(one)?, one))).collect();
    standing.sort_by_key(|(moved, one)| (Reverse(one.account.held()), *moved));
    let mut count = 0;
    for (_, one) in standing {
        if left == 0 {
            break;
        }
        one.activity.give_up();
        left = left.saturating_sub(one.held);
        count += 1;
    }
    count
}

impl Drop for Load {
    fn drop(&mut self) {
        self.burden.carried().requests.remove(&self.id);
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
    use crate::base::ledger::Held;

    const KIB: u64 = 1 << 10;

    fn stranger(last: u8) -> Owner {
        Owner::caller(None, [10, 0, 0, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_is_given_up_first_of_whoever_holds_most() {
        // Half of it is for bodies, and of that half for each.
        let burden = Arc::new(Burden::new(8 << 20, 100));
        let mut kept = Vec::new();
        let mut carry = |owner: Owner, held: u64| {
            let portion = burden.portion(owner);
            let (activity, load) = burden.take(&portion).unwrap();
            let held = Held::new(activity.holder().unwrap(), held * KIB);
            kept.push((portion, load, held));
            activity
        };
        let waits = carry(stranger(1), 0);
        let few = carry(stranger(2), 100);
        let many = [1000, 500, 500].map(|held| carry(stranger(1), held));
        let given_up = |activity: &Activity| activity.is_given_up();
        let shed = |more| burden.shed(more, Instant::now());
        assert_eq!(shed(1), 0, "nothing has stood still for long");
        tokio::time::advance(STILL).await;
        many[0].touch();
        assert_eq!(shed(501 * KIB), 2);
        assert_eq!(many.each_ref().map(given_up), [false, true, true]);
        assert_eq!(shed(501 * KIB), 0, "those who go are on their way");
        tokio::time::advance(STILL).await;
        assert_eq!(shed(u64::MAX), 2, "all that stand still, and no more");
        assert!(given_up(&few) && !given_up(&waits));
        kept.clear();
        assert_eq!((burden.ledger.held(), burden.carried().requests.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_used_up_its_own_share_gives_up_its_own() {
        let burden = Arc::new(Burden::new(8 << 20, 100));
        let (loud, quiet) = (burden.portion(stranger(1)), burden.portion(stranger(2)));
        let (one, _load) = burden.take(&loud).unwrap();
        let (other, _other) = burden.take(&quiet).unwrap();
        let _held = Held::new(one.holder().unwrap(), 2 << 20);
        let _some = Held::new(other.holder().unwrap(), 1 << 20);
        tokio::time::advance(STILL).await;
        assert_eq!(burden.shed(0, Instant::now()), 0, "nobody is held back");
        assert!(loud.account.admit(1).is_err() && quiet.account.admit(1).is_ok());
        assert_eq!(burden.shed(0, Instant::now()), 1);
        assert!(one.is_given_up() && !other.is_given_up());
    }

    #[tokio::test]
    async fn nobody_but_the_program_has_more_than_a_share() {
        let burden = Arc::new(Burden::new(0, 4));
        let take = |owner: Owner| burden.take(&burden.portion(owner));
        let _two = (take(stranger(1)).unwrap(), take(stranger(1)).unwrap());
        assert!(take(stranger(1)).is_none());
        assert!(take(stranger(2)).is_some());
        let _three = [(); 3].map(|()| take(Owner::Program).unwrap());
    }

    #[test]
    fn the_system_says_how_much_memory_there_is() {
        assert!(memory().unwrap() > 1 << 20);
    }
}
