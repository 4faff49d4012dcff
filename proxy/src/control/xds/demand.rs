//! Which services the program calls. The first call to one asks the control plane about it; it is kept until more
//! others were called since than this proxy keeps. A program may call any number of names that nobody bears: they give
//! way to each other, and never take the place of a service that is held while the control plane cannot be asked.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

/// How many authorities are kept.
const MOST: usize = 1_024;

/// The authorities that the program calls.
#[derive(Debug, Default)]
pub struct Demand {
    called: Mutex<Called>,
    /// How many calls there were.
    calls: AtomicU64,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Called {
    /// By authority, which call was the last to it.
    last: HashMap<Arc<str>, u64>,
    /// Those of which is known what they are; who calls one notes that there.
    held: HashMap<Arc<str>, Arc<AtomicU64>>,
    /// Whether the control plane would answer.
    heard: bool,
}

impl Called {
    /// The name that gives way to another one: of which nothing is known, and which was not called for longest. A service
    /// that is held gives way only while it could be had again.
    fn gives_way(&self) -> Option<Arc<str>> {
        let unknown = self.last.iter().filter(|(name, _)| !self.held.contains_key(*name));
        let oldest = unknown.min_by_key(|&(_, last)| last).map(|(name, _)| name.clone());
        oldest.or_else(|| self.heard.then(|| self.last.keys().min_by_key(|name| self.last_call(name)).cloned())?)
    }

    fn last_call(&self, name: &str) -> u64 {
        let noted = self.held.get(name).map_or(0, |last| last.load(Ordering::Relaxed));
        self.last.get(name).map_or(noted, |&last| last.max(noted))
    }
}

impl Demand {
    /// The number of a call to what is held: whoever calls it notes that beside it.
    pub fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes a call to `authority`, in its canonical form, of which is not known whether it is a service.
    pub fn call(&self, authority: &str) {
        let call = self.number();
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = called.last.get_mut(authority) {
            *last = call;
            return;
        }
        if called.last.len() >= MOST {
            let Some(name) = called.gives_way() else { return };
            called.last.remove(&name);
        }
        called.last.insert(authority.into(), call);
        self.changed.notify_one();
    }

    /// Notes which services are held, each with where calls to it are noted, and whether the control plane would answer for
    /// others.
    pub fn told(&self, held: impl Iterator<Item = (Arc<str>, Arc<AtomicU64>)>, heard: bool) {
        let held = held.collect();
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        (called.held, called.heard) = (held, heard);
    }

    /// All authorities that are kept.
    pub fn all(&self) -> BTreeSet<Arc<str>> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).last.keys().cloned().collect()
    }

    /// Returns when [`Demand::all`] has changed since it last did. For one listener.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_not_called_for_longest() {
        let demand = full();
        demand.call("s0.shop:80");
        demand.call("new.shop:80");
        let all = demand.all();
        assert_eq!(all.len(), MOST);
        assert!(all.contains("s0.shop:80") && all.contains("new.shop:80") && !all.contains("s1.shop:80"));
    }

    fn uncalled(name: Arc<str>) -> (Arc<str>, Arc<AtomicU64>) {
        (name, Arc::default())
    }

    #[test]
    fn a_call_that_is_noted_beside_a_service_counts() {
        let demand = full();
        let held: Vec<_> = demand.all().into_iter().map(uncalled).collect();
        demand.told(held.iter().cloned(), true);
        let (name, last) = held.iter().find(|(name, _)| &**name == "s0.shop:80").unwrap();
        last.store(demand.number(), Ordering::Relaxed);
        demand.call("new.shop:80");
        assert!(demand.all().contains(name) && !demand.all().contains("s1.shop:80"));
    }

    fn full() -> Demand {
        let demand = Demand::default();
        for index in 0..MOST {
            demand.call(&format!("s{index}.shop:80"));
        }
        demand
    }

    #[test]
    fn names_that_nobody_bears_take_no_place_from_a_service_that_is_held() {
        let demand = full();
        let some = || (0..MOST / 2).map(|index| Arc::from(format!("s{index}.shop:80")));
        demand.told(some().map(uncalled), true);
        for index in 0..3 * MOST {
            demand.call(&format!("made-up{index}.shop:80"));
        }
        let all = demand.all();
        assert_eq!(all.len(), MOST);
        assert!(some().all(|name| all.contains(&name)));
    }

    #[test]
    fn a_service_that_is_held_gives_way_to_a_newer_one_only_while_it_could_be_had_again() {
        let demand = full();
        for heard in [false, true] {
            demand.told(demand.all().into_iter().map(uncalled), heard);
            demand.call("new.shop:80");
            assert_eq!((demand.all().contains("new.shop:80"), demand.all().len()), (heard, MOST), "heard: {heard}");
        }
    }
}
