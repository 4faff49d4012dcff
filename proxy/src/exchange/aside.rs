//! Endpoints at which one call after the other has failed. Whoever says that they are fit has not seen that: they are passed
//! over for a while, as long as there are others.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::config::snapshot::backend::Endpoint;

/// How many calls in a row have to fail.
const FAILURES: u32 = 3;

/// How long an endpoint is passed over at first, and at most. After that one more failure is enough.
const FOR: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// How many endpoints are remembered; beyond, all are forgotten.
const MOST: usize = 8_192;

/// What has failed lately.
#[derive(Debug, Default)]
pub struct Aside {
    failed: Mutex<HashMap<SocketAddr, Record>>,
    /// How many those are: mostly none, and then nobody has to look.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    until: Option<Instant>,
}

impl Aside {
    /// The endpoint whose turn it is at `now`, of those that were not `tried`. None: all were, or there are none.
    pub fn pick<'a>(
        &self,
        endpoints: &'a [Endpoint],
        turn: u64,
        tried: &[SocketAddr],
        now: Instant,
    ) -> Option<&'a Endpoint> {
        if tried.is_empty() && self.count.load(Ordering::Relaxed) == 0 {
            return nth(endpoints.iter(), turn);
        }
        let failed = self.failed();
        let aside = |endpoint: &Endpoint| {
            failed.get(&endpoint.address).and_then(|record| record.until).is_some_and(|until| now < until)
        };
        let untried = || endpoints.iter().filter(|endpoint| !tried.contains(&endpoint.address));
        let sound = |endpoint: &&Endpoint| !aside(endpoint);
        nth(untried().filter(sound), turn).or_else(|| nth(untried(), turn))
    }

    /// A call to `endpoint` failed.
    pub fn failed_at(&self, endpoint: SocketAddr, now: Instant) {
        let mut failed = self.failed();
        if failed.len() >= MOST && !failed.contains_key(&endpoint) {
            failed.clear();
        }
        let record = failed.entry(endpoint).or_default();
        record.failures = record.failures.saturating_add(1);
        if let Some(more) = record.failures.checked_sub(FAILURES) {
            let wait = FOR.0.saturating_mul(2_u32.saturating_pow(more)).min(FOR.1);
            record.until = Some(now + wait);
        }
        self.count.store(failed.len(), Ordering::Relaxed);
    }

    /// A call to `endpoint` was answered.
    pub fn answered_at(&self, endpoint: SocketAddr) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut failed = self.failed();
        failed.remove(&endpoint);
        self.count.store(failed.len(), Ordering::Relaxed);
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<SocketAddr, Record>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one whose turn it is among `endpoints`.
fn nth<'a>(mut endpoints: impl Iterator<Item = &'a Endpoint> + Clone, turn: u64) -> Option<&'a Endpoint> {
    let count = u64::try_from(endpoints.clone().count()).ok().filter(|&count| count > 0)?;
    endpoints.nth(usize::try_from(turn % count).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cluster::{Protocol, Security};

    const PLACES: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];

    fn at(index: usize) -> SocketAddr {
        PLACES[index].parse().unwrap()
    }

    fn endpoints() -> [Endpoint; 3] {
        let endpoint =
            |index| Endpoint { address: at(index), identity: Security::Plaintext, speaks: Protocol::AsCalled };
        [0, 1, 2].map(endpoint)
    }

    fn picks(aside: &Aside, tried: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let endpoints = endpoints();
        (0..6).filter_map(|turn| aside.pick(&endpoints, turn, tried, now).map(|endpoint| endpoint.address)).collect()
    }

    #[test]
    fn who_fails_time_and_again_is_passed_over_for_a_while() {
        let (aside, now) = (Aside::default(), Instant::now());
        let all = [at(0), at(1), at(2), at(0), at(1), at(2)];
        let others = [at(0), at(2), at(0), at(2), at(0), at(2)];
        for _ in 1..FAILURES {
            aside.failed_at(at(1), now);
        }
        assert_eq!(picks(&aside, &[], now), all, "that may happen");
        aside.failed_at(at(1), now);
        assert_eq!(picks(&aside, &[], now), others);
        let later = now + FOR.0;
        assert_eq!(picks(&aside, &[], later), all, "it gets another chance");
        aside.failed_at(at(1), later);
        assert_eq!(picks(&aside, &[], later + FOR.0), others, "which it did not use");
        aside.answered_at(at(1));
        assert_eq!(picks(&aside, &[], later), all, "it is well again");
    }

    #[test]
    fn nobody_is_passed_over_where_there_is_nobody_else() {
        let (aside, now) = (Aside::default(), Instant::now());
        for index in 0..3 {
            (0..FAILURES).for_each(|_| aside.failed_at(at(index), now));
        }
        assert_eq!(picks(&aside, &[], now), [at(0), at(1), at(2), at(0), at(1), at(2)]);
        assert_eq!(picks(&aside, &[at(0), at(2)], now), [at(1); 6]);
        assert_eq!(picks(&aside, &[at(0), at(1), at(2)], now), []);
    }
}
