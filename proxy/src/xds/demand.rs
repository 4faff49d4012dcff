//! Which services the program calls. The first call to one asks the control plane about it; it is kept until more
//! others were called since than this proxy keeps.

use std::{
    collections::{BTreeSet, HashMap},
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
            let oldest = called.last.iter().min_by_key(|&(_, last)| last).map(|(name, _)| name.clone());
            oldest.and_then(|name| called.last.remove(&name));
        }
        called.last.insert(authority.into(), call);
        self.changed.notify_one();
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
        let demand = Demand::default();
        for index in 0..MOST {
            demand.call(&format!("s{index}.shop:80"));
        }
        demand.call("s0.shop:80");
        demand.call("new.shop:80");
        let all = demand.all();
        assert_eq!(all.len(), MOST);
        assert!(all.contains("s0.shop:80") && all.contains("new.shop:80") && !all.contains("s1.shop:80"));
    }
}
