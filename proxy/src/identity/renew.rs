//! Keeps the identity fresh: a new key and a new certificate well before the old one ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tonic::transport::Channel;
use tracing::{info, warn};

use super::{
    credentials::{Credentials, Material},
    join::JoinError,
    request::{SigningRequest, signing_request},
    state::Resting,
};
use crate::{
    backoff::{Backoff, chance},
    metrics::Metrics,
    proto::{Certificate, RenewRequest, renewal_client::RenewalClient},
    published::Published,
};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// When the next renewal is due, from `now` on: at 70 % of the life of the certificate, give or take `jitter` (from -1
/// to 1) times 5 %, so that a fleet that started together does not renew together.
pub fn next_renewal(not_before: SystemTime, not_after: SystemTime, now: SystemTime, jitter: f64) -> Duration {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    let due = not_before + life.mul_f64(0.70 + 0.05 * jitter.clamp(-1.0, 1.0));
    due.duration_since(now).unwrap_or_default()
}

/// Renews for ever. The old certificate serves while it is good, whatever happens here.
pub async fn keep_fresh(
    identity: Arc<Published<Credentials>>,
    channel: Channel,
    resting: Resting,
    metrics: Arc<Metrics>,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
    loop {
        let current = identity.now();
        let expiry = current.leaf.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        metrics.identity_expiry.set(i64::try_from(expiry).unwrap_or(i64::MAX));
        let leaf = &current.leaf;
        let wait = next_renewal(leaf.not_before, leaf.not_after, SystemTime::now(), 2.0 * chance() - 1.0);
        tokio::time::sleep(wait).await;
        loop {
            match renew(&channel, &current).await {
                Ok(renewed) => {
                    if let Err(error) = resting.write(&renewed.material) {
                        warn!(%error, "cannot write the renewed identity to disk");
                    }
                    info!(id = %renewed.leaf.id, "renewed the certificate");
                    identity.swap(Arc::new(renewed));
                    metrics.renewal("ok");
                    backoff.reset();
                    break;
                }
                Err(error) => {
                    metrics.renewal("failed");
                    let wait = backoff.after_failure(chance());
                    warn!(%error, ?wait, "cannot renew the certificate");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

async fn renew(channel: &Channel, current: &Credentials) -> Result<Credentials, JoinError> {
    let SigningRequest { key, request } = signing_request()?;
    let mut request = tonic::Request::new(RenewRequest { signing_request: request });
    request.set_timeout(DEADLINE);
    let response = RenewalClient::new(channel.clone()).renew(request).await;
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
            ("at the beginning", 0.0, 0.0, 16.8),
            ("later", 10.0, 0.0, 6.8),
            ("as early as may be", 0.0, -1.0, 15.6),
            ("as late as may be", 0.0, 1.0, 18.0),
            ("no later than that", 0.0, 9.0, 18.0),
            ("when it is due", 17.0, 0.0, 0.0),
            ("when it is over", 30.0, 0.0, 0.0),
        ];
        for (sentence, now, jitter, hours) in cases {
            let wait = next_renewal(begin, at(24.0), at(now), jitter).as_secs_f64() / 3_600.0;
            assert!((wait - hours).abs() < 0.001, "{sentence}: {wait}");
        }
        assert_eq!(
            next_renewal(at(1.0), begin, begin, 0.0),
            Duration::from_hours(1),
            "a life that ends before it begins"
        );
    }
}
