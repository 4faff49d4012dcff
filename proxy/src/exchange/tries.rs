//! One request, to one endpoint after the other, as long as nothing was done with it.

use std::{slice, time::Duration};

use tokio::time::Instant;
use tracing::debug;

use super::{
    Exchange,
    door::Door,
    upstream::{Failure, Target},
};
use crate::{
    config::{
        cluster::{Protocol, Security},
        decide::{To, Way},
        snapshot::backend::{Endpoint, Known},
    },
    message::{Activity, Request, Response, Version, error::ProxyError},
};

/// How many endpoints are tried before a request is given up. Each only if nothing was done with it at the one before.
pub const TRIES: usize = 3;

/// How long the program may take to accept a connection.
const PROGRAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

impl Exchange {
    /// Sends `request` where it goes.
    pub(super) async fn send(
        &self,
        door: &impl Door,
        way: &Way,
        mut request: Request,
        activity: &Activity,
    ) -> Result<Response, ProxyError> {
        let program;
        let (endpoints, turn, connect_timeout) = match &way.to {
            To::Backend(backend) => match &backend.known {
                Known::Standing(standing) => (&*standing.endpoints, backend.turn(), standing.connect_timeout),
                Known::Untold | Known::Missing => (&[][..], 0, Duration::ZERO),
            },
            To::Program(known) => {
                let (identity, speaks) = (Security::Plaintext, Protocol::AsCalled);
                program = Endpoint { address: known.address, identity, speaks };
                (slice::from_ref(&program), 0, PROGRAM_CONNECT_TIMEOUT)
            }
        };
        let mut tried = Vec::new();
        let mut last = None;
        while tried.len() < TRIES
            && let Some(endpoint) = self.aside.pick(endpoints, turn, &tried, Instant::now())
        {
            let (address, target) = (endpoint.address, target(endpoint, request.version()));
            let stands_still = activity.clone().ceased(way.idle_timeout);
            let asked = door.asked();
            let failure = match self.upstream.send(&target, connect_timeout, request, stands_still).await {
                Ok(response) => {
                    door.answered(asked);
                    self.aside.answered_at(address);
                    return Ok(response);
                }
                Err(_) if activity.is_given_up() => return Err(ProxyError::Overloaded),
                // Whoever sends the request broke it off: nobody there is at fault.
                Err(Failure::Broken(_)) if activity.is_broken() => return Err(ProxyError::BadBody),
                Err(failure) => failure,
            };
            // There is one program, and nobody to call instead.
            if let To::Backend(_) = way.to {
                self.aside.failed_at(address, Instant::now());
            }
            tried.push(address);
            let Failure::Untouched(unsent, why) = failure else {
                debug!(%address, "a call failed there");
                return failure.into_answer(&whom(&way.to));
            };
            request = *unsent;
            last = Some(why);
            debug!(%address, "nothing was done there; trying another endpoint, if there is one");
        }
        match last {
            Some(why) => why.into_answer(&whom(&way.to)),
            None => Err(nobody(&way.to)),
        }
    }
}

/// Who is called, in words: addresses are nobody's business.
fn whom(to: &To) -> String {
    match to {
        To::Backend(backend) => format!("a workload of {}", backend.name),
        To::Program(program) => format!("the program of {}", program.of),
    }
}

/// What is said where nobody is called at all.
fn nobody(to: &To) -> ProxyError {
    let backend = match to {
        To::Backend(backend) => &backend.name,
        To::Program(program) => &program.of,
    };
    ProxyError::NoEndpoint { backend: backend.to_string() }
}

fn target(endpoint: &Endpoint, called_in: Version) -> Target {
    let version = match endpoint.speaks {
        Protocol::Http2 => Version::HTTP_2,
        Protocol::AsCalled if called_in == Version::HTTP_2 => Version::HTTP_2,
        // HTTP/1.0 is spoken by the caller alone. To what carries bytes no request goes.
        Protocol::AsCalled | Protocol::Bytes => Version::HTTP_11,
    };
    Target { address: endpoint.address, security: endpoint.identity.clone(), version }
}
