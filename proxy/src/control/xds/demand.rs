//! Which services the program calls. The first call to one asks the control plane about it; it is kept until more
//! others were called since than this proxy keeps. A program may call any number of names that nobody bears: they give
//! way to each other, and never take the place of a service that is held while the control plane cannot be asked.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// How many authorities are kept.
const MOST: usize = 1_024;

/// The authorities that the program calls.
#[derive(Debug, Default)]
pub struct Demand {
    called: Mutex<Called>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Called {
    /// By authority, which call was the last to it.
    last: HashMap<Arc<str>, u64>,
    calls: u64,
    /// Those of which is known what they are.
    held: HashSet<Arc<str>>,
    /// Whether the control plane would answer.
    heard: bool,
}

impl Called {
    /// The name that gives way to another one: of which nothing is known, and which was not called for longest. A service
    /// that is held gives way only while it could be had again.
    fn gives_way(&self) -> Option<Arc<str>> {
        let oldest = |among: &dyn Fn(&Arc<str>) -> bool| {
            self.last.iter().filter(|(name, _)| among(name)).min_by_key(|&(_, last)| last).map(|(name, _)| name.clone())
        };
        oldest(&|name| !self.held.contains(name)).or_else(|| self.heard.then(|| oldest(&|_| true))?)
    }
}

impl Demand {
    /// Notes a call to `authority`, in its canonical form.
    pub fn call(&self, authority: &str) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.calls += 1;
        let call = called.calls;
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

    /// Notes which services are held, and whether the control plane would answer for others.
    pub fn told(&self, held: impl Iterator<Item = Arc<str>>, heard: bool) {
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
        demand.told(some(), true);
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
            demand.told(demand.all().into_iter(), heard);
            demand.call("new.shop:80");
            assert_eq!((demand.all().contains("new.shop:80"), demand.all().len()), (heard, MOST), "heard: {heard}");
        }
    }
}
