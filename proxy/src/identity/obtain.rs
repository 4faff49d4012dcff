//! Who this sidecar is when it starts: whom the join token makes it, or who it was before.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{
    credentials::{Credentials, newcomer},
    join::{JoinError, join},
    request::signing_request,
    state::Resting,
};
use crate::{
    base::{backoff::Backoff, chance},
    control::link,
};

/// How an identity may be had.
#[derive(Clone, Debug)]
pub struct Ways {
    /// The file with the join token.
    pub token_file: Option<PathBuf>,
    /// PEM of the mesh's trust anchors, or the name of a file that holds it.
    pub trust_anchors: Option<String>,
    /// Where tokens are traded in: `host:port`.
    pub join_addr: String,
    /// Until when.
    pub deadline: Instant,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// Neither a token nor an identity that is still good.
    #[error(
        "this workload has no identity: make a token with `sluice token join` and name its file in SLUICE_JOIN_TOKEN_FILE"
    )]
    NoWay,
    /// The one on disk has ended.
    #[error(
        "the identity on disk has expired: make a token with `sluice token join` and name its file in SLUICE_JOIN_TOKEN_FILE"
    )]
    Expired,
    /// The token cannot be read.
    #[error("cannot read the join token in {file}: {source}")]
    Token {
        /// Where it ought to be.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The trade failed.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// What was had cannot be kept.
    #[error("cannot write the identity to disk: {0}")]
    Disk(io::Error),
}

/// Comes to an identity, one way or the other.
pub async fn obtain(resting: &Resting, ways: Ways) -> Result<Credentials, NoIdentity> {
    let before = from_disk(resting);
    let still_good = before.as_ref().is_some_and(|identity| identity.valid_at(SystemTime::now()));
    let token = match &ways.token_file {
        None => None,
        Some(file) => match fs::read_to_string(file) {
            Ok(token) => Some((token.trim().to_owned(), file)),
            // It was spent when this workload joined.
            Err(error) if error.kind() == io::ErrorKind::NotFound && still_good => None,
            Err(source) => return Err(NoIdentity::Token { file: file.clone(), source }),
        },
    };
    let Some((token, file)) = token else {
        return match before {
            Some(identity) if still_good => Ok(identity),
            Some(_) => Err(NoIdentity::Expired),
            None => Err(NoIdentity::NoWay),
        };
    };
    let known = before.as_ref().map(|identity| identity.material.anchors.as_slice()).unwrap_or_default();
    match trade(&token, &ways, known, still_good).await {
        Ok(identity) => {
            resting.write(&identity.material).map_err(NoIdentity::Disk)?;
            spent(file);
            info!(id = %identity.leaf.id, workload = identity.workload(), "joined the mesh");
            Ok(identity)
        }
        Err(error) => {
            let refused = matches!(error, JoinError::Refused);
            if refused {
                spent(file);
            }
            match before {
                // A token that is no good says nothing against who it was before.
                Some(identity) if still_good && (refused || error.may_pass()) => {
                    warn!(%error, "the token could not be traded in; going on with the identity on disk");
                    Ok(identity)
                }
                _ => Err(error.into()),
            }
        }
    }
}

/// Trades the token in, and tries again until the deadline; if there is another way, once more and at once, in case that only
/// the answer was lost. Whom to believe is set, or `known` from before.
async fn trade(token: &str, ways: &Ways, known: &[Vec<u8>], another_way: bool) -> Result<Credentials, JoinError> {
    let anchors = match &ways.trust_anchors {
        Some(text) => read_anchors(text).map_err(JoinError::Anchors)?,
        None if known.is_empty() => return Err(JoinError::Anchors("SLUICE_TRUST_ANCHORS is not set".into())),
        None => known.to_vec(),
    };
    let tls = newcomer(&anchors).map_err(|unfit| JoinError::Anchors(unfit.to_string()))?;
    let (channel, _) = link::channel(&ways.join_addr, move || Ok(tls.clone()));
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let request = signing_request()?;
    if another_way {
        return match join(channel.clone(), token, &request).await {
            Err(error) if error.may_pass() && !error.took_too_long() => join(channel, token, &request).await,
            result => result,
        };
    }
    loop {
        match join(channel.clone(), token, &request).await {
            Err(error) if error.may_pass() => {
                let wait = backoff.after_failure(chance::fraction());
                if Instant::now() + wait >= ways.deadline {
                    return Err(error);
                }
                warn!(%error, ?wait, "cannot join the mesh yet");
                sleep(wait).await;
            }
            result => return result,
        }
    }
}

fn from_disk(resting: &Resting) -> Option<Credentials> {
    let material = match resting.read() {
        Ok(material) => material?,
        Err(error) => {
            warn!(%error, "the identity on disk cannot be read");
            return None;
        }
    };
    Credentials::new(material).inspect_err(|error| warn!(%error, "the identity on disk cannot be used")).ok()
}

/// A token that was traded in or refused is of no more use to anybody, least of all to who finds it.
fn spent(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        warn!(file = %file.display(), %error, "cannot delete the join token");
    }
}

fn read_anchors(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let pem = if text.contains("-----BEGIN") {
        text.to_owned()
    } else {
        fs::read_to_string(text).map_err(|error| format!("cannot read {text}: {error}"))?
    };
    let anchors = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|anchor| anchor.map(|anchor| anchor.to_vec()));
    anchors.collect::<Result<_, _>>().map_err(|_| "SLUICE_TRUST_ANCHORS holds no well-formed PEM".into())
}
