//! What becomes of a request between the two doors. [`Exchange`] is the one machine that acts: a door says who asks and what
//! becomes of that ([`door`]), which was decided in `config`; what is to be done about it is done here, the same for both.
//!
//! - [`door`]: what a door has to say
//! - [`tries`]: to one endpoint after the other, where nobody can notice; [`aside`]: whom that passes over
//! - [`upstream`]: the way to endpoints and to the program, over pooled connections
//! - [`burden`]: what is on its way, by whose it is, and what is given up when there is no room for it

pub mod aside;
pub mod burden;
pub mod door;
pub mod tries;
pub mod upstream;

use std::sync::Arc;

use aside::Aside;
use burden::Burden;
use door::{Door, Goes};
use upstream::Upstream;

use crate::{
    config::decide::Way,
    message::{Request, Response, StatusCode, error::ProxyError, headers, upgrade::Upgrade},
    telemetry::record::Record,
};

/// What requests are carried with, whichever door they come by.
pub struct Exchange {
    /// The way to endpoints, and to the program.
    pub upstream: Arc<Upstream>,
    /// All that is on its way in this process.
    pub burden: Arc<Burden>,
    /// Whom calls have failed at.
    pub aside: Aside,
}

impl Exchange {
    /// With nothing on its way.
    pub fn new(upstream: Arc<Upstream>, burden: Arc<Burden>) -> Self {
        Self { upstream, burden, aside: Aside::default() }
    }

    /// Serves one request that came by `door`. It is recorded when all of it is over.
    pub async fn serve(&self, door: &impl Door, request: Request) -> Response {
        let audience = door.audience(headers::is_grpc(request.headers()));
        let mut record = door.record();
        let response = match self.carry(door, request, &mut record).await {
            Ok(response) => {
                record.answered(response.status().as_u16());
                response
            }
            Err(error) => {
                door.note(&error);
                record.answered(error.reason().status().as_u16());
                error.respond(audience)
            }
        };
        response.map(|body| body.holding(record))
    }

    async fn carry(&self, door: &impl Door, request: Request, record: &mut Record) -> Result<Response, ProxyError> {
        door.admit()?;
        let (activity, load) = self.burden.take(door.portion()).ok_or(ProxyError::Overloaded)?;
        let pass = (door.in_flight().enter().ok_or(ProxyError::Overloaded)?, load);
        let mut request = request.map(|body| body.noted(&activity));
        let way = match door.decide(&request, record).await? {
            Goes::On(way) => way,
            Goes::Back(response) => return Ok(response),
        };
        way.edits.apply(&mut request)?;
        let upgrade = match Upgrade::asked_for_by(&mut request) {
            Some(upgrade) => Some((upgrade, door.beyond(&request)?)),
            None => None,
        };
        let mut response = self.send(door, &way, request, &activity).await?;
        let Way { idle_timeout, .. } = way;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some((upgrade, beyond)) = upgrade
        {
            upgrade.join(&mut response, activity, idle_timeout, beyond.forbidden, (beyond.place, pass));
            return Ok(response);
        }
        Ok(response.map(|body| body.limited(&activity, idle_timeout).holding(pass)))
    }
}
