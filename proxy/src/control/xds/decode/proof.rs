//! `Cluster.transport_socket_matches`: which endpoints of a cluster speak mutual TLS. An endpoint is marked by its metadata
//! `envoy.transport_socket_match`, `{"tls": "mutual"}`; what is not marked is spoken to in plaintext.

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::cluster::TransportSocketMatch,
            core::v3::{Metadata, TransportSocket, transport_socket},
        },
        extensions::transport_sockets::raw_buffer::v3::RawBuffer,
    },
    google::protobuf::{Struct, value::Kind},
};

use super::{
    fault::{Fault, Within},
    opened::open,
    shape::{EMPTY, Shape, message, value},
    tls,
};
use crate::config::cluster::{Proof, Security};

pub static MATCH: Shape =
    Shape(&[value(1, "name"), message(2, "match", &STRUCT), message(3, "transport_socket", &tls::TRANSPORT_SOCKET)]);
pub static METADATA: Shape = Shape(&[message(1, "filter_metadata", &BY_NAMESPACE)]);
static BY_NAMESPACE: Shape = Shape(&[value(1, "key"), message(2, "value", &STRUCT)]);
static STRUCT: Shape = Shape(&[message(1, "fields", &STRUCT_FIELD)]);
static STRUCT_FIELD: Shape = Shape(&[value(1, "key"), message(2, "value", &TEXT)]);
static TEXT: Shape = Shape(&[value(3, "string_value")]);

/// The namespace of metadata in which an endpoint is marked.
const NAMESPACE: &str = "envoy.transport_socket_match";

/// What the endpoints of a cluster have to prove. Without matches the one transport socket is for all of them.
pub fn proof(socket: Option<TransportSocket>, matches: Vec<TransportSocketMatch>) -> Result<Proof, Fault> {
    if matches.is_empty() {
        return tls::upstream(socket).within("transport_socket").map(Proof::OfAll);
    }
    if socket.is_some() {
        return Err(
            Fault::new("is for nobody where transport_socket_matches leaves nobody out").within("transport_socket")
        );
    }
    let [mutual, plaintext] = <[_; 2]>::try_from(matches).map_err(|matches| {
        let what =
            format!("there are {}, and this proxy knows two: one for mutual TLS, one for the rest", matches.len());
        Fault::new(what).within("transport_socket_matches")
    })?;
    let identities = of_marked(mutual).within("transport_socket_matches[0]")?;
    of_the_rest(plaintext).within("transport_socket_matches[1]")?;
    Ok(identities)
}

fn of_marked(wire: TransportSocketMatch) -> Result<Proof, Fault> {
    if !is_mark(&wire.r#match.unwrap_or_default()).within("match")? {
        return Err(Fault::new("is not {\"tls\": \"mutual\"}").within("match"));
    }
    match tls::upstream(wire.transport_socket).within("transport_socket")? {
        Security::MutualTls(identities) => Ok(Proof::OfMarked(identities)),
        Security::Plaintext => Err(Fault::missing("transport_socket")),
    }
}

fn of_the_rest(wire: TransportSocketMatch) -> Result<(), Fault> {
    if wire.r#match.is_some_and(|rule| !rule.fields.is_empty()) {
        return Err(Fault::new("leaves endpoints out").within("match"));
    }
    match wire.transport_socket.and_then(|socket| socket.config_type) {
        Some(transport_socket::ConfigType::TypedConfig(any)) => {
            open::<RawBuffer>(&any, &EMPTY).within("transport_socket.typed_config").map(drop)
        }
        None => Err(Fault::missing("transport_socket.typed_config")),
    }
}

/// Whether an endpoint is marked as one that speaks mutual TLS.
pub fn is_mutual(metadata: Option<Metadata>) -> Result<bool, Fault> {
    let mut namespaces = metadata.unwrap_or_default().filter_metadata;
    let mark = namespaces.remove(NAMESPACE);
    if let Some(other) = namespaces.into_keys().next() {
        return Err(Fault::new("is not understood by this proxy").within(&format!("filter_metadata[{other:?}]")));
    }
    is_mark(&mark.unwrap_or_default()).within(&format!("filter_metadata[{NAMESPACE:?}]"))
}

/// `{"tls": "mutual"}` is the mark, `{}` is none, and there is no other.
fn is_mark(fields: &Struct) -> Result<bool, Fault> {
    let mut marked = false;
    for (name, value) in &fields.fields {
        match (name.as_str(), &value.kind) {
            ("tls", Some(Kind::StringValue(text))) if text == "mutual" => marked = true,
            ("tls", _) => return Err(Fault::new("is not \"mutual\"").within("tls")),
            _ => return Err(Fault::new("is not understood by this proxy").within(name)),
        }
    }
    Ok(marked)
}
