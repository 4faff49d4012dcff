//! envoy.config.route.v3.RouteConfiguration: where calls to a service go.

use std::{collections::HashMap, sync::Arc};

use envoy_types::pb::{
    envoy::config::route::v3::{
        Route as WireRoute, RouteAction, RouteConfiguration, RouteMatch, WeightedCluster, route,
        route_action::{ClusterNotFoundResponseCode, ClusterSpecifier},
        route_match::PathSpecifier,
    },
    google::protobuf::Any,
};

use super::{
    Limits, bounded,
    fault::{Fault, Within, each},
    opened::{duration, open},
    shape::{DURATION, Shape, WRAPPER, message, value},
};
use crate::config::{
    route::{Action, PathMatch, Route, RouteTable},
    split::Split,
};

static ROUTES: Shape = Shape(&[value(1, "name"), message(2, "virtual_hosts", &VIRTUAL_HOST)]);
static VIRTUAL_HOST: Shape = Shape(&[value(1, "name"), value(2, "domains"), message(3, "routes", &ROUTE)]);
static ROUTE: Shape = Shape(&[
    message(1, "match", &MATCH),
    message(2, "route", &ACTION),
    message(7, "direct_response", &RESPONSE),
    value(14, "name"),
]);
static MATCH: Shape = Shape(&[value(1, "prefix"), value(2, "path")]);
static ACTION: Shape = Shape(&[
    value(1, "cluster"),
    message(3, "weighted_clusters", &WEIGHTED),
    message(8, "timeout", &DURATION),
    value(20, "cluster_not_found_response_code"),
]);
static WEIGHTED: Shape = Shape(&[message(1, "clusters", &SHARE)]);
static SHARE: Shape = Shape(&[value(1, "name"), message(2, "weight", &WRAPPER)]);
static RESPONSE: Shape = Shape(&[value(1, "status")]);

/// The routes of a service.
pub fn table(resource: &Any, name: &str, limits: &Limits) -> Result<RouteTable, Fault> {
    let routes: RouteConfiguration = open(resource, &ROUTES)?;
    super::same_name(&routes.name, name)?;
    bounded("virtual hosts", routes.virtual_hosts.len(), limits.routes).within("virtual_hosts")?;
    let mut hosts: HashMap<Box<str>, Arc<[Arc<Route>]>> = HashMap::new();
    let mut backends: Vec<Arc<str>> = Vec::new();
    each("virtual_hosts", routes.virtual_hosts, |host| {
        bounded("routes", host.routes.len(), limits.routes).within("routes")?;
        let routes: Arc<[Arc<Route>]> =
            each("routes", host.routes, |wire| route(wire, &mut backends, limits).map(Arc::new))?.into();
        each("domains", host.domains, |domain| {
            if domain != "*" && domain.contains('*') {
                return Err(Fault::new(format!(
                    "{domain:?} stands for some names, which this proxy does not understand"
                )));
            }
            match hosts.insert(domain.into_boxed_str(), routes.clone()) {
                None => Ok(()),
                Some(_) => Err(Fault::new("is in another virtual host as well")),
            }
        })
    })?;
    backends.sort_unstable();
    backends.dedup();
    Ok(RouteTable { hosts, backends })
}

fn route(wire: WireRoute, backends: &mut Vec<Arc<str>>, limits: &Limits) -> Result<Route, Fault> {
    let path = path(wire.r#match).within("match")?;
    let action = match wire.action {
        Some(route::Action::Route(action)) => forward(action, backends, limits).within("route")?,
        Some(route::Action::DirectResponse(response)) => match u16::try_from(response.status) {
            Ok(status @ 200..600) => Action::Respond(status),
            _ => return Err(Fault::new(format!("{} is no status", response.status)).within("direct_response.status")),
        },
        _ => return Err(Fault::new("does something that this proxy does not understand").within("action")),
    };
    Ok(Route { name: wire.name.into(), path, action })
}

fn path(rule: Option<RouteMatch>) -> Result<PathMatch, Fault> {
    match rule.and_then(|rule| rule.path_specifier) {
        Some(PathSpecifier::Prefix(prefix)) => Ok(PathMatch::Prefix(prefix.into())),
        Some(PathSpecifier::Path(exact)) => Ok(PathMatch::Exact(exact.into())),
        _ => Err(Fault::new("is of a kind that this proxy does not understand")),
    }
}

fn forward(action: RouteAction, backends: &mut Vec<Arc<str>>, limits: &Limits) -> Result<Action, Fault> {
    let timeout = action.timeout.as_ref().ok_or_else(|| Fault::missing("timeout"))?;
    if !duration(timeout).within("timeout")?.is_zero() {
        return Err(Fault::new("is not 0, and this proxy knows no other").within("timeout"));
    }
    let missing_backend_status = match ClusterNotFoundResponseCode::try_from(action.cluster_not_found_response_code) {
        Ok(ClusterNotFoundResponseCode::ServiceUnavailable) => 503,
        Ok(ClusterNotFoundResponseCode::NotFound) => 404,
        Ok(ClusterNotFoundResponseCode::InternalServerError) => 500,
        Err(_) => return Err(Fault::new("is unknown").within("cluster_not_found_response_code")),
    };
    let split = match action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) if !name.is_empty() => {
            let name: Arc<str> = name.into();
            backends.push(name.clone());
            Split::whole(name)
        }
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            shares(weighted, backends, limits).within("weighted_clusters")?
        }
        _ => return Err(Fault::missing("cluster")),
    };
    Ok(Action::Forward { split, missing_backend_status })
}

fn shares(weighted: WeightedCluster, backends: &mut Vec<Arc<str>>, limits: &Limits) -> Result<Split, Fault> {
    bounded("clusters", weighted.clusters.len(), limits.clusters_per_route).within("clusters")?;
    let shares = each("clusters", weighted.clusters, |share| {
        if share.name.is_empty() {
            return Err(Fault::missing("name"));
        }
        let name: Arc<str> = share.name.into();
        backends.push(name.clone());
        Ok((name, share.weight.map_or(0, |weight| weight.value)))
    })?;
    Split::new(shares).map_err(|error| Fault::new(error.to_string()).within("clusters"))
}
