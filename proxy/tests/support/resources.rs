//! Resources as a control plane would make them, in the shape of `src/compile`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::{
                Cluster,
                cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, TransportSocketMatch},
            },
            core::v3::{
                Address, AggregatedConfigSource, ConfigSource, HealthStatus, Http2ProtocolOptions, Metadata,
                SocketAddress, TransportSocket, address, config_source::ConfigSourceSpecifier,
                socket_address::PortSpecifier, transport_socket,
            },
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
            },
            listener::v3::{ApiListener, Filter, FilterChain, FilterChainMatch, Listener, filter},
            rbac::v3::{Permission, Policy, Principal, Rbac as Rules, permission, principal, rbac::Action},
            route::v3::{
                NonForwardingAction, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, WeightedCluster,
                route, route_action::ClusterSpecifier, route_match::PathSpecifier, weighted_cluster::ClusterWeight,
            },
        },
        extensions::{
            filters::{
                http::{rbac::v3::Rbac, router::v3::Router},
                network::http_connection_manager::v3::{
                    HttpConnectionManager, HttpFilter, Rds, http_connection_manager::RouteSpecifier, http_filter,
                },
            },
            transport_sockets::{
                raw_buffer::v3::RawBuffer,
                tls::v3::{
                    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext,
                    DownstreamTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
                    common_tls_context::ValidationContextType,
                },
            },
            upstreams::http::v3::{
                HttpProtocolOptions,
                http_protocol_options::{
                    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
                    explicit_http_config::ProtocolConfig,
                },
            },
        },
        service::discovery::v3::Resource,
        r#type::matcher::v3::{PathMatcher, StringMatcher, path_matcher, string_matcher::MatchPattern},
    },
    google::protobuf::{Any, BoolValue, Duration, Struct, UInt32Value, Value, value},
};
use prost::{Message, Name};
use sluice_proxy::control::xds::kind::Kind;

/// A resource of a snapshot.
#[derive(Clone, Debug)]
pub struct Made {
    pub kind: Kind,
    pub resource: Resource,
}

impl Made {
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    pub fn version(&self) -> &str {
        &self.resource.version
    }
}

pub fn any<T: Message + Name>(message: &T) -> Any {
    Any { type_url: T::type_url(), value: message.encode_to_vec() }
}

/// Every resource that is made has a version of its own.
pub fn made<T: Message + Name>(kind: Kind, name: &str, message: &T) -> Made {
    static VERSIONS: AtomicU64 = AtomicU64::new(1);
    let version = format!("v{}", VERSIONS.fetch_add(1, Ordering::Relaxed));
    Made { kind, resource: Resource { name: name.into(), version, resource: Some(any(message)), ..Default::default() } }
}

fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        resource_api_version: 2,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    })
}

fn provider() -> Option<CertificateProviderPluginInstance> {
    Some(CertificateProviderPluginInstance { instance_name: "default".into(), ..Default::default() })
}

fn common(names: &[String]) -> Option<CommonTlsContext> {
    let names = names.iter().map(|name| SubjectAltNameMatcher {
        san_type: 3,
        matcher: Some(exact(name)),
        ..SubjectAltNameMatcher::default()
    });
    let validation = CertificateValidationContext {
        ca_certificate_provider_instance: provider(),
        match_typed_subject_alt_names: names.collect(),
        ..CertificateValidationContext::default()
    };
    Some(CommonTlsContext {
        tls_certificate_provider_instance: provider(),
        validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
        ..CommonTlsContext::default()
    })
}

fn socket<T: Message + Name>(context: &T) -> Option<TransportSocket> {
    Some(TransportSocket {
        name: "envoy.transport_sockets.tls".into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(any(context))),
    })
}

pub fn exact(text: &str) -> StringMatcher {
    StringMatcher { match_pattern: Some(MatchPattern::Exact(text.into())), ..StringMatcher::default() }
}

fn prefix(text: &str) -> StringMatcher {
    StringMatcher { match_pattern: Some(MatchPattern::Prefix(text.into())), ..StringMatcher::default() }
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

pub fn manager(idle_ms: i64) -> HttpConnectionManager {
    let nanos = i32::try_from(idle_ms % 1000 * 1_000_000).unwrap();
    HttpConnectionManager {
        stat_prefix: "s".into(),
        stream_idle_timeout: Some(Duration { seconds: idle_ms / 1000, nanos }),
        ..HttpConnectionManager::default()
    }
}

pub fn router() -> HttpFilter {
    http_filter("envoy.filters.http.router", &Router::default())
}

pub fn http_filter<T: Message + Name>(name: &str, config: &T) -> HttpFilter {
    let config_type = Some(http_filter::ConfigType::TypedConfig(any(config)));
    HttpFilter { name: name.into(), config_type, ..HttpFilter::default() }
}

/// The way in to a service.
pub fn service(name: &str) -> Made {
    service_with_idle_timeout(name, 300_000)
}

pub fn service_with_idle_timeout(name: &str, idle_ms: i64) -> Made {
    let rds = Rds { config_source: ads(), route_config_name: name.into() };
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        http_filters: vec![router()],
        ..manager(idle_ms)
    };
    made(Kind::Listener, name, &service_listener(name, &manager))
}

pub fn service_listener(name: &str, manager: &HttpConnectionManager) -> Listener {
    let api_listener = Some(ApiListener { api_listener: Some(any(manager)) });
    Listener { name: name.into(), api_listener, ..Listener::default() }
}

/// Where calls to a service go, by weight.
pub fn routes(name: &str, shares: &[(&str, u32)]) -> Made {
    made(Kind::Route, name, &route_configuration(name, forward(shares)))
}

/// Calls to a service are answered with this status.
pub fn route_that_answers(name: &str, status: u32) -> Made {
    let response = envoy_types::pb::envoy::config::route::v3::DirectResponseAction { status, ..Default::default() };
    made(Kind::Route, name, &route_configuration(name, route::Action::DirectResponse(response)))
}

pub fn forward(shares: &[(&str, u32)]) -> route::Action {
    let clusters = shares.iter().map(|(name, weight)| ClusterWeight {
        name: (*name).into(),
        weight: Some(UInt32Value { value: *weight }),
        ..ClusterWeight::default()
    });
    let weighted = WeightedCluster { clusters: clusters.collect(), ..WeightedCluster::default() };
    route::Action::Route(RouteAction {
        cluster_not_found_response_code: 2,
        timeout: seconds(0),
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(weighted)),
        ..RouteAction::default()
    })
}

fn everything() -> Option<RouteMatch> {
    Some(RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..RouteMatch::default() })
}

pub fn route_configuration(name: &str, action: route::Action) -> RouteConfiguration {
    let route =
        Route { name: format!("Service {name}"), r#match: everything(), action: Some(action), ..Route::default() };
    let host =
        VirtualHost { name: name.into(), domains: vec![name.into()], routes: vec![route], ..VirtualHost::default() };
    RouteConfiguration { name: name.into(), virtual_hosts: vec![host], ..RouteConfiguration::default() }
}

/// What a backend has to prove, and what it speaks.
#[derive(Clone, Copy)]
pub enum Speaks<'a> {
    Plaintext,
    Tls(&'a [String]),
    TlsHttp2(&'a [String]),
    /// Mutual TLS where an endpoint is marked so.
    ByEndpoint(&'a [String]),
}

pub fn cluster(name: &str, speaks: Speaks<'_>) -> Made {
    made(Kind::Cluster, name, &cluster_message(name, speaks))
}

pub fn cluster_message(name: &str, speaks: Speaks<'_>) -> Cluster {
    let (names, http2, by_endpoint) = match speaks {
        Speaks::Plaintext => (None, false, false),
        Speaks::Tls(names) => (Some(names), false, false),
        Speaks::TlsHttp2(names) => (Some(names), true, false),
        Speaks::ByEndpoint(names) => (Some(names), false, true),
    };
    let options = Some(Http2ProtocolOptions::default());
    let protocol = if http2 {
        let protocol_config = options.map(ProtocolConfig::Http2ProtocolOptions);
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config })
    } else {
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http2_protocol_options: options,
            ..UseDownstreamHttpConfig::default()
        })
    };
    let http = HttpProtocolOptions { upstream_protocol_options: Some(protocol), ..HttpProtocolOptions::default() };
    let tls = names.map(|names| UpstreamTlsContext { common_tls_context: common(names), ..Default::default() });
    let tls = tls.as_ref().and_then(socket);
    let raw = TransportSocket {
        name: "envoy.transport_sockets.raw_buffer".into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(any(&RawBuffer {}))),
    };
    let choice = |name: &str, rule, socket| TransportSocketMatch {
        name: name.into(),
        r#match: Some(rule),
        transport_socket: Some(socket),
    };
    let (transport_socket, transport_socket_matches) = match tls {
        Some(tls) if by_endpoint => {
            (None, vec![choice("mutual", mark(), tls), choice("plaintext", Struct::default(), raw)])
        }
        other => (other, Vec::new()),
    };
    Cluster {
        name: name.into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), service_name: name.into() }),
        connect_timeout: seconds(1),
        transport_socket,
        transport_socket_matches,
        typed_extension_protocol_options: HashMap::from([(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(),
            any(&http),
        )]),
        ..Cluster::default()
    }
}

/// `{"tls": "mutual"}`.
pub fn mark() -> Struct {
    let mutual = Value { kind: Some(value::Kind::StringValue("mutual".into())) };
    Struct { fields: [("tls".to_owned(), mutual)].into() }
}

pub fn socket_address(address: SocketAddr) -> Option<Address> {
    Some(Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
            ..SocketAddress::default()
        })),
    })
}

/// Where a backend is.
pub fn endpoints(name: &str, addresses: &[SocketAddr]) -> Made {
    let healthy: Vec<_> = addresses.iter().map(|&address| (address, HealthStatus::Healthy)).collect();
    endpoints_with_health(name, &healthy)
}

pub fn endpoints_with_health(name: &str, addresses: &[(SocketAddr, HealthStatus)]) -> Made {
    made(Kind::Endpoints, name, &assignment(name, addresses))
}

/// Where a backend is, and which of its endpoints are marked as speaking mutual TLS.
pub fn marked_endpoints(name: &str, addresses: &[(SocketAddr, bool)]) -> Made {
    let healthy: Vec<_> = addresses.iter().map(|&(address, _)| (address, HealthStatus::Healthy)).collect();
    let mut assignment = assignment(name, &healthy);
    for (endpoint, (_, mutual)) in assignment.endpoints[0].lb_endpoints.iter_mut().zip(addresses) {
        endpoint.metadata = mutual.then(|| Metadata {
            filter_metadata: [("envoy.transport_socket_match".to_owned(), mark())].into(),
            ..Metadata::default()
        });
    }
    made(Kind::Endpoints, name, &assignment)
}

pub fn assignment(name: &str, addresses: &[(SocketAddr, HealthStatus)]) -> ClusterLoadAssignment {
    let lb_endpoints = addresses.iter().map(|&(address, health)| LbEndpoint {
        health_status: health.into(),
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: socket_address(address),
            ..Endpoint::default()
        })),
        ..LbEndpoint::default()
    });
    let locality = LocalityLbEndpoints {
        lb_endpoints: lb_endpoints.collect(),
        load_balancing_weight: Some(UInt32Value { value: 1 }),
        ..LocalityLbEndpoints::default()
    };
    let endpoints = if addresses.is_empty() { Vec::new() } else { vec![locality] };
    ClusterLoadAssignment { cluster_name: name.into(), endpoints, ..ClusterLoadAssignment::default() }
}

/// A rule that lets somebody do something.
pub fn policy(who: principal::Identifier, what: permission::Rule) -> Policy {
    Policy {
        principals: vec![Principal { identifier: Some(who) }],
        permissions: vec![Permission { rule: Some(what) }],
        ..Policy::default()
    }
}

pub fn anyone() -> principal::Identifier {
    principal::Identifier::Any(true)
}

pub fn authenticated() -> principal::Identifier {
    principal::Identifier::Authenticated(principal::Authenticated { principal_name: None })
}

pub fn account(id: &str) -> principal::Identifier {
    principal::Identifier::Authenticated(principal::Authenticated { principal_name: Some(exact(id)) })
}

pub fn anything() -> permission::Rule {
    permission::Rule::Any(true)
}

pub fn path_prefix(text: &str) -> permission::Rule {
    permission::Rule::UrlPath(PathMatcher { rule: Some(path_matcher::Rule::Path(prefix(text))) })
}

/// A door to a program.
#[derive(Default)]
pub struct Door {
    pub allow: Vec<(String, Policy)>,
    pub deny: Vec<(String, Policy)>,
    pub audited_allow: Option<Vec<(String, Policy)>>,
    pub plaintext: bool,
    pub normalised: bool,
    pub idle_ms: Option<i64>,
}

impl Door {
    /// Open to every identity of the mesh.
    pub fn to_members() -> Self {
        let rule = policy(authenticated(), anything());
        Self { allow: vec![("default/all-authenticated".into(), rule)], ..Self::default() }
    }

    /// Open to one.
    pub fn to(policy_name: &str, id: &str) -> Self {
        Self { allow: vec![(format!("{policy_name}/0"), policy(account(id), anything()))], ..Self::default() }
    }

    pub fn rules(action: Action, policies: &[(String, Policy)]) -> Option<Rules> {
        Some(Rules { action: action.into(), policies: policies.iter().cloned().collect(), ..Rules::default() })
    }

    pub fn filters(&self) -> Vec<HttpFilter> {
        let allow = Rbac {
            rules: Self::rules(Action::Allow, &self.allow),
            shadow_rules: self.audited_allow.as_ref().and_then(|rules| Self::rules(Action::Allow, rules)),
            ..Rbac::default()
        };
        let mut filters = vec![http_filter("envoy.filters.http.rbac.allow", &allow), router()];
        if !self.deny.is_empty() {
            let deny = Rbac { rules: Self::rules(Action::Deny, &self.deny), ..Rbac::default() };
            filters.insert(0, http_filter("envoy.filters.http.rbac.deny", &deny));
        }
        filters
    }

    pub fn manager(&self) -> HttpConnectionManager {
        let route = Route {
            name: "program".into(),
            r#match: everything(),
            action: Some(route::Action::NonForwardingAction(NonForwardingAction {})),
            ..Route::default()
        };
        let host = VirtualHost {
            name: "program".into(),
            domains: vec!["*".into()],
            routes: vec![route],
            ..Default::default()
        };
        HttpConnectionManager {
            http_filters: self.filters(),
            route_specifier: Some(RouteSpecifier::RouteConfig(RouteConfiguration {
                virtual_hosts: vec![host],
                ..RouteConfiguration::default()
            })),
            normalize_path: self.normalised.then_some(BoolValue { value: true }),
            merge_slashes: self.normalised,
            path_with_escaped_slashes_action: if self.normalised { 2 } else { 0 },
            ..manager(self.idle_ms.unwrap_or(300_000))
        }
    }

    pub fn listener(&self, workload: &str) -> Listener {
        let filter = Filter {
            name: "envoy.filters.network.http_connection_manager".into(),
            config_type: Some(filter::ConfigType::TypedConfig(any(&self.manager()))),
        };
        self.listener_of(workload, &[filter])
    }

    /// With these filters behind each transport.
    pub fn listener_of(&self, workload: &str, filters: &[Filter]) -> Listener {
        let chain = |protocol: &str, transport_socket| FilterChain {
            filter_chain_match: Some(FilterChainMatch { transport_protocol: protocol.into(), ..Default::default() }),
            filters: filters.to_vec(),
            transport_socket,
            ..FilterChain::default()
        };
        let tls = DownstreamTlsContext {
            common_tls_context: common(&[]),
            require_client_certificate: Some(BoolValue { value: true }),
            ..DownstreamTlsContext::default()
        };
        let mut filter_chains = vec![chain("tls", socket(&tls))];
        if self.plaintext {
            filter_chains.push(chain("raw_buffer", None));
        }
        Listener {
            name: format!("inbound/{workload}"),
            address: socket_address("127.0.0.1:9101".parse().unwrap()),
            filter_chains,
            traffic_direction: 1,
            ..Listener::default()
        }
    }

    pub fn made(&self, workload: &str) -> Made {
        made(Kind::Listener, &format!("inbound/{workload}"), &self.listener(workload))
    }
}
