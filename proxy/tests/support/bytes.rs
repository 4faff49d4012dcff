//! Resources of services and ports that carry bytes, as a control plane would make them.

use envoy_types::pb::{
    envoy::{
        config::{
            listener::v3::{
                Filter, FilterChain, Listener, filter,
                listener::{InternalListenerConfig, ListenerSpecifier},
            },
            rbac::v3::rbac::Action,
        },
        extensions::filters::network::{
            direct_response::v3::Config as DirectResponse,
            rbac::v3::Rbac,
            tcp_proxy::v3::{
                TcpProxy,
                tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster::ClusterWeight},
            },
        },
    },
    google::protobuf::Duration,
};
use prost::{Message, Name};
use sluice_proxy::control::xds::kind::Kind;

use super::resources::{Door, Made, Speaks, any, cluster_message, made};

pub fn network_filter<T: Message + Name>(name: &str, config: &T) -> Filter {
    Filter { name: name.into(), config_type: Some(filter::ConfigType::TypedConfig(any(config))) }
}

pub fn tcp_proxy(destination: ClusterSpecifier, idle_ms: i64) -> TcpProxy {
    let nanos = i32::try_from(idle_ms % 1000 * 1_000_000).unwrap();
    TcpProxy {
        stat_prefix: "s".into(),
        idle_timeout: Some(Duration { seconds: idle_ms / 1000, nanos }),
        cluster_specifier: Some(destination),
        ..TcpProxy::default()
    }
}

impl Door {
    /// The filters of a port that carries bytes.
    pub fn bytes_filters(&self, listener: &str) -> Vec<Filter> {
        let rbac = |action, policies, audited: Option<_>| Rbac {
            stat_prefix: "s".into(),
            rules: Self::rules(action, policies),
            shadow_rules: audited.and_then(|rules| Self::rules(action, rules)),
            ..Rbac::default()
        };
        let allow = rbac(Action::Allow, &self.allow, self.audited_allow.as_deref());
        let proxy = tcp_proxy(ClusterSpecifier::Cluster(listener.into()), self.idle_ms.unwrap_or(3_600_000));
        let mut filters = vec![
            network_filter("envoy.filters.network.rbac.allow", &allow),
            network_filter("envoy.filters.network.tcp_proxy", &proxy),
        ];
        if !self.deny.is_empty() {
            let deny = rbac(Action::Deny, &self.deny, None);
            filters.insert(0, network_filter("envoy.filters.network.rbac.deny", &deny));
        }
        filters
    }

    pub fn bytes_listener(&self, workload: &str) -> Listener {
        self.listener_of(workload, &self.bytes_filters(&format!("inbound/{workload}")))
    }

    /// The door, where bytes come in.
    pub fn bytes_made(&self, workload: &str) -> Made {
        made(Kind::Listener, &format!("inbound/{workload}"), &self.bytes_listener(workload))
    }
}

/// The way in to a service of bytes, by weight.
pub fn bytes_service(name: &str, shares: &[(&str, u32)]) -> Made {
    bytes_service_with_idle_timeout(name, shares, 3_600_000)
}

pub fn bytes_service_with_idle_timeout(name: &str, shares: &[(&str, u32)], idle_ms: i64) -> Made {
    let destination = match shares {
        [(only, _)] => ClusterSpecifier::Cluster((*only).into()),
        shares => {
            let clusters = shares.iter().map(|&(name, weight)| ClusterWeight {
                name: name.into(),
                weight,
                ..ClusterWeight::default()
            });
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: clusters.collect() })
        }
    };
    let filter = network_filter("envoy.filters.network.tcp_proxy", &tcp_proxy(destination, idle_ms));
    made(Kind::Listener, name, &bytes_service_listener(name, filter))
}

/// A service of bytes of which all shares are 0.
pub fn bytes_service_that_closes(name: &str) -> Made {
    let filter = network_filter("envoy.filters.network.direct_response", &DirectResponse::default());
    made(Kind::Listener, name, &bytes_service_listener(name, filter))
}

pub fn bytes_service_listener(name: &str, filter: Filter) -> Listener {
    let chain = FilterChain { name: format!("Service {name}"), filters: vec![filter], ..FilterChain::default() };
    Listener {
        name: name.into(),
        filter_chains: vec![chain],
        traffic_direction: 2,
        listener_specifier: Some(ListenerSpecifier::InternalListener(InternalListenerConfig {})),
        ..Listener::default()
    }
}

/// A backend that carries bytes.
pub fn bytes_cluster(name: &str, speaks: Speaks<'_>) -> Made {
    let mut message = cluster_message(name, speaks);
    message.typed_extension_protocol_options.clear();
    made(Kind::Cluster, name, &message)
}
