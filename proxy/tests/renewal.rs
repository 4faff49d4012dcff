//! When an identity is renewed, by a clock that the test holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use sluice_proxy::{
    base::published::Published,
    identity::{credentials::Credentials, join::JoinError, renew::keep_fresh_by, state::Resting},
    telemetry::metrics::Metrics,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::support::pki::{Leaf, Pki};

const HOUR: Duration = Duration::from_hours(1);

/// A machine, its clock, and a control plane that renews.
struct Machine {
    /// Seconds by which its clock has gone on while it slept, or was wrong to begin with.
    jump: Arc<AtomicU64>,
    /// Seconds by which the clock of the control plane is ahead of the right time.
    early: Arc<AtomicU64>,
    renewals: mpsc::UnboundedReceiver<Instant>,
    _directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Machine {
    /// It has a leaf that is new, and whose clock is ahead by `ahead`.
    fn new(ahead: Duration, answer: fn(Credentials) -> Result<Credentials, JoinError>) -> Self {
        let (pki, start, began) = (Pki::new(), SystemTime::now(), Instant::now());
        let early = Arc::new(AtomicU64::new(0));
        let wrong = early.clone();
        let make = move || {
            let made = start + began.elapsed() + Duration::from_secs(wrong.load(Ordering::Relaxed));
            let leaf = Leaf { not_before: made, not_after: made + 24 * HOUR, ..Leaf::of("shop/cart") };
            Credentials::new(pki.material("shop/cart", &leaf)).unwrap()
        };
        let identity = Arc::new(Published::new(make()));
        let jump = Arc::new(AtomicU64::new(ahead.as_secs()));
        let clock = {
            let jump = jump.clone();
            move || start + began.elapsed() + Duration::from_secs(jump.load(Ordering::Relaxed))
        };
        let (renewed, renewals) = mpsc::unbounded_channel();
        let renew = move |_| {
            renewed.send(Instant::now()).unwrap();
            std::future::ready(answer(make()))
        };
        let directory = tempfile::tempdir().unwrap();
        let resting = Resting::within(directory.path());
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_fresh_by(clock, renew, identity, resting, Arc::new(Metrics::default())));
        Self { jump, early, renewals, _directory: directory, _tasks: tasks }
    }

    /// When the next renewal is tried.
    async fn renewal(&mut self) -> Instant {
        self.renewals.recv().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_leaf_is_renewed_when_most_of_its_life_is_over_and_again() {
    let mut machine = Machine::new(Duration::ZERO, Ok);
    let mut last = Instant::now();
    for _ in 0..3 {
        let next = machine.renewal().await;
        assert!((15 * HOUR..=19 * HOUR).contains(&(next - last)), "{:?}", next - last);
        last = next;
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_renews_as_soon_as_it_wakes() {
    let mut machine = Machine::new(Duration::ZERO, Ok);
    tokio::time::sleep(HOUR).await;
    assert!(machine.renewals.try_recv().is_err());
    machine.jump.store(20 * 3_600, Ordering::Relaxed);
    let woke = Instant::now();
    let waited = machine.renewal().await - woke;
    assert!(waited <= Duration::from_secs(30), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_does_not_make_renewals_spin() {
    let mut machine = Machine::new(20 * HOUR, Ok);
    let first = machine.renewal().await;
    assert_eq!(machine.renewal().await - first, Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_whose_clock_is_ahead_takes_nothing_away_that_is_good() {
    let mut machine = Machine::new(Duration::ZERO, Ok);
    machine.early.store(10 * 3_600, Ordering::Relaxed);
    let mut last = machine.renewal().await;
    for _ in 0..10 {
        let next = machine.renewal().await;
        assert!(next - last <= Duration::from_secs(61), "what begins only later is no renewal: {:?}", next - last);
        last = next;
    }
    machine.early.store(0, Ordering::Relaxed);
    let last = machine.renewal().await;
    let next = machine.renewal().await;
    assert!((15 * HOUR..=19 * HOUR).contains(&(next - last)), "{:?}", next - last);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_before_long() {
    let mut machine = Machine::new(Duration::ZERO, |_| Err(JoinError::Nothing));
    let mut last = machine.renewal().await;
    for _ in 0..10 {
        let next = machine.renewal().await;
        assert!(next - last <= Duration::from_secs(61), "{:?}", next - last);
        last = next;
    }
}
