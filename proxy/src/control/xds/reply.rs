//! What the control plane is told of a response: that all of it is in force, or which resources are not and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::{
    envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
    google::{protobuf::Any, rpc::Status},
};
use prost::Message;

use super::{kind::Kind, table::Refused};
use crate::control::proto::{Refusal, RefusedResource};

/// `google.rpc.Code.INVALID_ARGUMENT`.
const INVALID_ARGUMENT: i32 = 3;

/// What the wire calls a [`Refusal`].
const REFUSAL: &str = "type.googleapis.com/sluice.v1.Refusal";

/// A response that has not been answered.
#[derive(Debug)]
pub struct Pending {
    /// Of which kind its resources are.
    pub kind: Kind,
    nonce: String,
    /// The resources of it that are not in force yet.
    pub waiting_for: BTreeSet<Arc<str>>,
    /// The resources of it that are refused.
    refused: BTreeMap<Arc<str>, Refused>,
}

impl Pending {
    /// A response of which `waiting_for` is not in force yet.
    pub fn new(kind: Kind, nonce: String, waiting_for: BTreeSet<Arc<str>>) -> Self {
        Self { kind, nonce, waiting_for, refused: BTreeMap::new() }
    }

    /// A resource of it is refused.
    pub fn refuse(&mut self, name: Arc<str>, refusal: Refused) {
        self.refused.insert(name, refusal);
    }

    /// If it waits for `name`, of this kind, that is refused.
    pub fn give_up(&mut self, kind: Kind, name: &Arc<str>, refusal: &Refused) {
        if self.kind == kind && self.waiting_for.remove(name) {
            self.refused.insert(name.clone(), refusal.clone());
        }
    }

    /// The ACK, or the NACK that names what is refused. What it does not name is in force.
    pub fn into_request(self) -> DeltaDiscoveryRequest {
        let error_detail = (!self.refused.is_empty()).then(|| status(self.refused));
        DeltaDiscoveryRequest {
            type_url: self.kind.type_url().into(),
            response_nonce: self.nonce,
            error_detail,
            ..DeltaDiscoveryRequest::default()
        }
    }
}

fn status(refused: BTreeMap<Arc<str>, Refused>) -> Status {
    let message = refused.iter().map(|(name, refusal)| format!("{name}: {}", refusal.reason)).collect::<Vec<_>>();
    let resources = refused.into_iter().map(|(name, Refused { version, reason })| RefusedResource {
        name: name.to_string(),
        version,
        reason,
    });
    let refusal = Refusal { resources: resources.collect() };
    let detail = Any { type_url: REFUSAL.into(), value: refusal.encode_to_vec() };
    Status { code: INVALID_ARGUMENT, message: message.join("; "), details: vec![detail] }
}

/// The NACK of a response of a kind that this proxy never asked for.
pub fn unknown_type(response: &DeltaDiscoveryResponse) -> DeltaDiscoveryRequest {
    let message = format!("this proxy asks for no {}", response.type_url);
    DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        error_detail: Some(Status { code: INVALID_ARGUMENT, message, details: Vec::new() }),
        ..DeltaDiscoveryRequest::default()
    }
}
