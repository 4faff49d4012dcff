//! envoy.config.cluster.v3.Cluster and envoy.config.endpoint.v3.ClusterLoadAssignment: what stands behind a name.

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::{
                Cluster as WireCluster,
                cluster::{ClusterDiscoveryType, DiscoveryType},
            },
            core::v3::HealthStatus,
            endpoint::v3::{ClusterLoadAssignment, LbEndpoint, lb_endpoint::HostIdentifier},
        },
        extensions::upstreams::http::v3::{
            HttpProtocolOptions,
            http_protocol_options::{UpstreamProtocolOptions, explicit_http_config::ProtocolConfig},
        },
    },
    google::protobuf::{Any, UInt32Value},
};
use prost::Name;

use super::{
    Limits, bounded,
    fault::{Fault, Within, each},
    opened::{ADDRESS, CONFIG_SOURCE, duration, from_ads, open, socket_address},
    proof,
    shape::{DURATION, EMPTY, Shape, WRAPPER, message, value},
    tls,
};
use crate::config::cluster::{Cluster, Endpoints, Health, Place, Protocol};

static CLUSTER: Shape = Shape(&[
    value(1, "name"),
    value(2, "type"),
    message(3, "eds_cluster_config", &EDS),
    message(4, "connect_timeout", &DURATION),
    message(24, "transport_socket", &tls::TRANSPORT_SOCKET),
    value(36, "typed_extension_protocol_options"),
    message(43, "transport_socket_matches", &proof::MATCH),
]);
static EDS: Shape = Shape(&[message(1, "eds_config", &CONFIG_SOURCE), value(2, "service_name")]);
static HTTP: Shape =
    Shape(&[message(3, "explicit_http_config", &HTTP2_ONLY), message(4, "use_downstream_protocol_config", &AS_CALLED)]);
static HTTP2_ONLY: Shape = Shape(&[message(2, "http2_protocol_options", &EMPTY)]);
static AS_CALLED: Shape =
    Shape(&[message(1, "http_protocol_options", &EMPTY), message(2, "http2_protocol_options", &EMPTY)]);
static ASSIGNMENT: Shape = Shape(&[value(1, "cluster_name"), message(2, "endpoints", &LOCALITY_ENDPOINTS)]);
static LOCALITY_ENDPOINTS: Shape = Shape(&[
    message(1, "locality", &LOCALITY),
    message(2, "lb_endpoints", &LB_ENDPOINT),
    message(3, "load_balancing_weight", &WRAPPER),
]);
static LOCALITY: Shape = Shape(&[value(1, "region"), value(2, "zone"), value(3, "sub_zone")]);
static LB_ENDPOINT: Shape =
    Shape(&[message(1, "endpoint", &ENDPOINT), value(2, "health_status"), message(3, "metadata", &proof::METADATA)]);
static ENDPOINT: Shape = Shape(&[message(1, "address", &ADDRESS)]);

/// How a backend is spoken to.
pub fn cluster(resource: &Any, name: &str) -> Result<Cluster, Fault> {
    let cluster: WireCluster = open(resource, &CLUSTER)?;
    super::same_name(&cluster.name, name)?;
    if cluster.cluster_discovery_type != Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)) {
        return Err(Fault::new("is not EDS").within("type"));
    }
    let eds = cluster.eds_cluster_config.ok_or_else(|| Fault::missing("eds_cluster_config"))?;
    from_ads(eds.eds_config.as_ref()).within("eds_cluster_config.eds_config")?;
    let connect_timeout = cluster.connect_timeout.ok_or_else(|| Fault::missing("connect_timeout"))?;
    let endpoints = if eds.service_name.is_empty() { name.into() } else { eds.service_name.into() };
    let mut options = cluster.typed_extension_protocol_options;
    let http = options.remove(HttpProtocolOptions::full_name().as_str());
    if let Some(other) = options.into_keys().next() {
        let place = format!("typed_extension_protocol_options[{other:?}]");
        return Err(Fault::new("is not understood by this proxy").within(&place));
    }
    // Without a word on HTTP there is none, as to Envoy's tcp_proxy.
    let protocol =
        http.map_or(Ok(Protocol::Bytes), |http| protocol(&http)).within("typed_extension_protocol_options")?;
    Ok(Cluster {
        endpoints,
        connect_timeout: duration(&connect_timeout).within("connect_timeout")?,
        proof: proof::proof(cluster.transport_socket, cluster.transport_socket_matches)?,
        protocol,
    })
}

fn protocol(any: &Any) -> Result<Protocol, Fault> {
    let options: HttpProtocolOptions = open(any, &HTTP)?;
    match options.upstream_protocol_options {
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(_)) => Ok(Protocol::AsCalled),
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => match explicit.protocol_config {
            Some(ProtocolConfig::Http2ProtocolOptions(_)) => Ok(Protocol::Http2),
            _ => Err(Fault::missing("explicit_http_config.http2_protocol_options")),
        },
        _ => Err(Fault::missing("use_downstream_protocol_config")),
    }
}

/// Where a backend is reached.
pub fn endpoints(resource: &Any, name: &str, limits: &Limits) -> Result<Endpoints, Fault> {
    let assignment: ClusterLoadAssignment = open(resource, &ASSIGNMENT)?;
    super::same_name(&assignment.cluster_name, name)?;
    if assignment.endpoints.len() > 1 {
        return Err(
            Fault::new("there is more than one locality, and this proxy knows no shares of them").within("endpoints")
        );
    }
    let mut endpoints = Endpoints::default();
    for locality in assignment.endpoints {
        if locality.load_balancing_weight == Some(UInt32Value { value: 0 }) {
            return Err(Fault::new("is 0").within("endpoints[0].load_balancing_weight"));
        }
        bounded("endpoints", locality.lb_endpoints.len(), limits.endpoints).within("endpoints[0].lb_endpoints")?;
        endpoints.places = each("endpoints[0].lb_endpoints", locality.lb_endpoints, place)?;
    }
    Ok(endpoints)
}

fn place(wire: LbEndpoint) -> Result<Place, Fault> {
    let Some(HostIdentifier::Endpoint(endpoint)) = wire.host_identifier else { return Err(Fault::missing("endpoint")) };
    let address = socket_address(endpoint.address).within("endpoint.address")?;
    let mutual = proof::is_mutual(wire.metadata).within("metadata")?;
    let health = match HealthStatus::try_from(wire.health_status) {
        // Nobody has said that it is not fit.
        Ok(HealthStatus::Healthy | HealthStatus::Unknown) => Health::Fit,
        Ok(HealthStatus::Unhealthy | HealthStatus::Timeout) => Health::Unhealthy,
        Ok(HealthStatus::Draining) => Health::Draining,
        Ok(HealthStatus::Degraded) | Err(_) => {
            return Err(Fault::new("is none that this proxy understands").within("health_status"));
        }
    };
    Ok(Place { address, mutual, health })
}
