//! Keeps the identity fresh: a new key and a new certificate well before the old one ends.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{task::spawn_blocking, time::sleep};
use tonic::transport::Channel;
use tracing::{info, warn};

use super::{
    credentials::{Credentials, Material},
    join::JoinError,
    request::{SigningRequest, signing_request},
    state::Resting,
};
use crate::{
    base::{backoff::Backoff, chance, published::Published, wall_clock::reached},
    control::proto::{Certificate, RenewRequest, renewal_client::RenewalClient},
    telemetry::metrics::Metrics,
};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How soon after a renewal the next one may be, however old the new certificate seems to be.
const PAUSE: Duration = Duration::from_mins(1);

/// The part of its life after which a certificate is renewed, and how far from that chance may move it, so that a fleet
/// that started together does not renew together.
const DUE: (f64, f64) = (0.70, 0.05);

/// When a certificate is to be renewed; `jitter` is from -1 to 1.
pub fn due(not_before: SystemTime, not_after: SystemTime, jitter: f64) -> SystemTime {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    not_before + life.mul_f64(DUE.0 + DUE.1 * jitter.clamp(-1.0, 1.0))
}

/// How far a clock is from that of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// A certificate that was made this moment seems to be so old.
    Ahead(Duration),
    /// It seems to begin only in so long.
    Behind(Duration),
}

/// Whether `now` is so far from the control plane's that renewals are not what they should be, as a certificate tells
/// that was made this moment.
pub fn apart(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> Option<Apart> {
    match now.duration_since(not_before) {
        Err(early) => Some(Apart::Behind(early.duration())),
        Ok(age) if now >= due(not_before, not_after, -1.0) => Some(Apart::Ahead(age)),
        Ok(_) => None,
    }
}

/// Renews for ever. The old certificate serves while it is good, whatever happens here.
pub async fn keep_fresh(
    identity: Arc<Published<Credentials>>,
    channel: Channel,
    resting: Resting,
    metrics: Arc<Metrics>,
) {
    let renew = |current: Arc<Credentials>| {
        let channel = channel.clone();
        async move { renew(channel, &current).await }
    };
    keep_fresh_by(SystemTime::now, renew, identity, resting, metrics).await;
}

/// Renews for ever, by this clock and in this way.
pub async fn keep_fresh_by<F>(
    clock: impl Fn() -> SystemTime,
    renew: impl Fn(Arc<Credentials>) -> F,
    identity: Arc<Published<Credentials>>,
    resting: Resting,
    metrics: Arc<Metrics>,
) where
    F: Future<Output = Result<Credentials, JoinError>>,
{
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
    let mut pause = Duration::ZERO;
    loop {
        let current = identity.now();
        let expiry = current.leaf.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        metrics.identity_expiry.set(i64::try_from(expiry).unwrap_or(i64::MAX));
        sleep(pause).await;
        reached(due(current.leaf.not_before, current.leaf.not_after, 2.0 * chance::fraction() - 1.0), &clock).await;
        let renewed = loop {
            let failure = match renew(current.clone()).await {
                // A control plane whose clock is wrong for a while must not take from us what others believe.
                Ok(renewed) if clock() < renewed.leaf.not_before && current.valid_at(clock()) => {
                    "the new one begins only later".to_owned()
                }
                Ok(renewed) => break renewed,
                Err(error) => error.to_string(),
            };
            metrics.renewal("failed");
            let wait = backoff.after_failure(chance::fraction());
            warn!(error = failure, ?wait, "cannot renew the certificate");
            sleep(wait).await;
        };
        let (resting, material) = (resting.clone(), renewed.material.clone());
        // Whoever waits for the disk must not be the thread that serves requests.
        let written = spawn_blocking(move || resting.write(&material)).await.map_err(io::Error::other).flatten();
        if let Err(error) = written {
            warn!(%error, "cannot write the renewed identity to disk");
        }
        info!(id = %renewed.leaf.id, "renewed the certificate");
        if let Some(apart) = apart(renewed.leaf.not_before, renewed.leaf.not_after, clock()) {
            warn!(clock = ?apart, "the clock of this machine and that of the control plane differ; set them right");
        }
        identity.swap(Arc::new(renewed));
        metrics.renewal("ok");
        backoff.reset();
        pause = PAUSE;
    }
}

async fn renew(channel: Channel, current: &Credentials) -> Result<Credentials, JoinError> {
    let SigningRequest { key, request } = signing_request()?;
    let mut request = tonic::Request::new(RenewRequest { signing_request: request });
    request.set_timeout(DEADLINE);
    let response = RenewalClient::new(channel).renew(request).await;
    let response = response.map_err(|status| JoinError::Unreachable(Box::new(status)))?.into_inner();
    let Certificate { chain, trust_anchors, .. } = response.certificate.ok_or(JoinError::Nothing)?;
    let Material { namespace, name, .. } = current.material.clone();
    Ok(Credentials::new(Material { namespace, name, key, chain, anchors: trust_anchors })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_at_seven_tenths_of_a_life() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |hours: f64| begin + Duration::from_secs_f64(hours * 3_600.0);
        let cases = [
            ("without chance", 0.0, 16.8),
            ("as early as may be", -1.0, 15.6),
            ("as late as may be", 1.0, 18.0),
            ("no later than that", 9.0, 18.0),
        ];
        for (sentence, jitter, hours) in cases {
            let due = due(begin, at(24.0), jitter).duration_since(begin).unwrap().as_secs_f64() / 3_600.0;
            assert!((due - hours).abs() < 0.001, "{sentence}: {due}");
        }
        assert_eq!(due(at(1.0), begin, 0.0), at(1.0), "a life that ends before it begins");
    }

    #[test]
    fn a_new_certificate_tells_whether_the_clocks_differ() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_hours(100);
        let end = begin + Duration::from_hours(24);
        let hours = Duration::from_hours;
        let cases = [
            ("it was made this moment", begin + Duration::from_mins(1), None),
            ("a clock that is ahead by some hours does no harm", begin + hours(12), None),
            ("it would be renewed at once", begin + hours(16), Some(Apart::Ahead(hours(16)))),
            ("it is over at once", begin + hours(30), Some(Apart::Ahead(hours(30)))),
            ("it has not begun", begin - hours(1), Some(Apart::Behind(hours(1)))),
        ];
        for (sentence, now, expected) in cases {
            assert_eq!(apart(begin, end, now), expected, "{sentence}");
        }
    }
}
