//! What a door has to say of a request, so that it can be carried.

use std::{any::Any, pin::Pin, sync::Arc};

use super::burden::Portion;
use crate::{
    base::gate::Gate,
    config::decide::Way,
    message::{
        Request, Response,
        error::{Audience, ProxyError},
    },
    telemetry::record::Record,
};

/// A way in for requests of somebody.
pub trait Door: Sync {
    /// A call that the program has not answered yet.
    type Asked: Send;

    /// Who hears of errors.
    fn audience(&self, grpc: bool) -> Audience;

    /// What is known of a request when it comes.
    fn record(&self) -> Record;

    /// Whether anything is taken of whoever asks.
    fn admit(&self) -> Result<(), ProxyError>;

    /// What whoever asks has on its way.
    fn portion(&self) -> &Arc<Portion>;

    /// How many requests there may be at this door.
    fn in_flight(&self) -> &Gate;

    /// What becomes of `request`, as soon as that is known.
    fn decide(&self, request: &Request, record: &mut Record) -> impl Future<Output = Result<Goes, ProxyError>> + Send;

    /// What holds for the connection of `request`, if it goes on in another protocol.
    fn beyond(&self, request: &Request) -> Result<Beyond, ProxyError>;

    /// Something is sent.
    fn asked(&self) -> Self::Asked;

    /// It was answered.
    fn answered(&self, asked: Self::Asked);

    /// Notes in the log that a request was answered here.
    fn note(&self, error: &ProxyError);
}

/// Where a request goes.
pub enum Goes {
    /// On, this way.
    On(Way),
    /// Back, with this: it is no error, and all there is to say.
    Back(Response),
}

/// A connection that goes on in another protocol.
pub struct Beyond {
    /// Its place.
    pub place: Box<dyn Any + Send>,
    /// Returns when it may not go on.
    pub forbidden: Pin<Box<dyn Future<Output = ()> + Send>>,
}
