//! RBAC, of requests (envoy.extensions.filters.http.rbac.v3) and of connections (envoy.extensions.filters.network.rbac.v3): who may
//! do what.

use envoy_types::pb::envoy::{
    config::rbac::v3::{
        Permission as WirePermission, Policy, Principal as WirePrincipal, Rbac, permission, principal, rbac::Action,
    },
    extensions::filters::{http::rbac::v3::Rbac as Filter, network::rbac::v3::Rbac as NetworkFilter},
    r#type::matcher::v3::{StringMatcher, path_matcher, string_matcher::MatchPattern},
};

use super::{
    fault::{Fault, Within, each},
    shape::{Shape, WRAPPER, message, value},
};
use crate::config::{
    fold::PathRule,
    network::Network,
    route::PathMatch,
    rules::{IdentityMatch, Permission, Principal, Rule, RuleName, Rules},
};

pub static FILTER: Shape = Shape(&[message(1, "rules", &RULES), message(2, "shadow_rules", &RULES)]);
pub static NETWORK_FILTER: Shape =
    Shape(&[message(1, "rules", &RULES), message(2, "shadow_rules", &RULES), value(3, "stat_prefix")]);
static RULES: Shape = Shape(&[value(1, "action"), message(2, "policies", &POLICIES)]);
static POLICIES: Shape = Shape(&[value(1, "key"), message(2, "value", &POLICY)]);
static POLICY: Shape = Shape(&[message(1, "permissions", &PERMISSION), message(2, "principals", &PRINCIPAL)]);
static PERMISSION: Shape = Shape(&[
    message(1, "and_rules", &PERMISSIONS),
    message(2, "or_rules", &PERMISSIONS),
    value(3, "any"),
    message(4, "header", &HEADER),
    message(8, "not_rule", &PERMISSION),
    message(10, "url_path", &PATH),
]);
static PERMISSIONS: Shape = Shape(&[message(1, "rules", &PERMISSION)]);
static HEADER: Shape = Shape(&[value(1, "name"), message(13, "string_match", &STRING)]);
static PATH: Shape = Shape(&[message(1, "path", &STRING)]);
static STRING: Shape = Shape(&[value(1, "exact"), value(2, "prefix")]);
static PRINCIPAL: Shape = Shape(&[
    message(1, "and_ids", &PRINCIPALS),
    message(2, "or_ids", &PRINCIPALS),
    value(3, "any"),
    message(4, "authenticated", &AUTHENTICATED),
    message(8, "not_id", &PRINCIPAL),
    message(10, "direct_remote_ip", &CIDR),
]);
static PRINCIPALS: Shape = Shape(&[message(1, "ids", &PRINCIPAL)]);
static AUTHENTICATED: Shape = Shape(&[message(2, "principal_name", &STRING)]);
static CIDR: Shape = Shape(&[value(1, "address_prefix"), message(2, "prefix_len", &WRAPPER)]);

/// What one RBAC filter says.
pub struct RbacFilter {
    /// Whether its rules turn away what they mean, rather than what they do not mean.
    pub denies: bool,
    /// What decides. None: nothing is decided.
    pub enforced: Option<Rules>,
    /// What is only told.
    pub audited: Option<Rules>,
    /// How many rules there are, of both sorts.
    pub count: usize,
}

/// Decodes a filter of requests.
pub fn filter(filter: Filter) -> Result<RbacFilter, Fault> {
    read(filter.rules, filter.shadow_rules)
}

/// Decodes a filter of connections, which have no method and no path.
pub fn network_filter(filter: NetworkFilter) -> Result<RbacFilter, Fault> {
    let read = read(filter.rules, filter.shadow_rules)?;
    for rule in [&read.enforced, &read.audited].into_iter().flatten().flat_map(Rules::all) {
        if rule.permissions.iter().any(Permission::reads_request) {
            let what = format!("rule {} asks for a method or a path, and bytes have none", rule.name);
            return Err(Fault::new(what));
        }
    }
    Ok(read)
}

fn read(enforced: Option<Rbac>, audited: Option<Rbac>) -> Result<RbacFilter, Fault> {
    let actions: Vec<i32> = [&enforced, &audited].into_iter().flatten().map(|rules| rules.action).collect();
    let denies = match actions.as_slice() {
        [one, other] if one != other => {
            return Err(Fault::new("differs from rules.action").within("shadow_rules.action"));
        }
        [] => return Err(Fault::missing("rules")),
        [action, ..] if *action == Action::Allow as i32 => false,
        [action, ..] if *action == Action::Deny as i32 => true,
        [action, ..] => return Err(Fault::new(format!("{action} is no action that is enforced")).within("action")),
    };
    let count = [&enforced, &audited].into_iter().flatten().map(|rules| rules.policies.len()).sum();
    Ok(RbacFilter {
        denies,
        enforced: enforced.map(rules).transpose().within("rules")?,
        audited: audited.map(rules).transpose().within("shadow_rules")?,
        count,
    })
}

fn rules(rules: Rbac) -> Result<Rules, Fault> {
    let rules = rules.policies.into_iter().map(|(name, policy)| {
        let field = format!("policies[{name:?}]");
        rule(&name, policy).within(&field)
    });
    Ok(Rules::new(rules.collect::<Result<_, _>>()?))
}

fn rule(name: &str, policy: Policy) -> Result<Rule, Fault> {
    Ok(Rule {
        name: RuleName::new(name),
        principals: each("principals", policy.principals, principal)?,
        permissions: each("permissions", policy.permissions, permission)?,
    })
}

fn principal(wire: WirePrincipal) -> Result<Principal, Fault> {
    use principal::Identifier;
    let Some(identifier) = wire.identifier else { return Err(unknown("principal")) };
    Ok(match identifier {
        Identifier::Any(true) => Principal::Anyone,
        Identifier::Any(false) => return Err(Fault::new("is false").within("any")),
        Identifier::Authenticated(who) => Principal::Identity(match who.principal_name {
            None => IdentityMatch::Any,
            Some(name) => match text(name).within("authenticated.principal_name")? {
                Text::Exact(exact) => IdentityMatch::Exact(exact),
                Text::Prefix(prefix) => IdentityMatch::Prefix(prefix),
            },
        }),
        Identifier::DirectRemoteIp(range) => {
            let length = range.prefix_len.map_or(0, |length| length.value);
            let network = range.address_prefix.parse().ok().and_then(|address| Network::new(address, length));
            let bad = || Fault::new(format!("{}/{length} is no network", range.address_prefix));
            Principal::From(network.ok_or_else(bad).within("direct_remote_ip")?)
        }
        Identifier::AndIds(set) => Principal::All(each("and_ids.ids", not_empty(set.ids)?, principal)?),
        Identifier::OrIds(set) => Principal::OneOf(each("or_ids.ids", not_empty(set.ids)?, principal)?),
        Identifier::NotId(other) => Principal::Not(Box::new(principal(*other).within("not_id")?)),
        _ => return Err(unknown("principal")),
    })
}

fn permission(wire: WirePermission) -> Result<Permission, Fault> {
    use permission::Rule;
    let Some(rule) = wire.rule else { return Err(unknown("permission")) };
    Ok(match rule {
        Rule::Any(true) => Permission::Anything,
        Rule::Any(false) => return Err(Fault::new("is false").within("any")),
        Rule::Header(header) if header.name == ":method" => match header.header_match_specifier {
            Some(envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier::StringMatch(
                matcher,
            )) => match text(matcher).within("header.string_match")? {
                Text::Exact(method) => Permission::Method(method),
                Text::Prefix(_) => return Err(Fault::new("is not exact").within("header.string_match")),
            },
            _ => return Err(Fault::missing("header.string_match")),
        },
        Rule::Header(header) => {
            return Err(Fault::new(format!("{:?} is no header that rules can read", header.name)).within("header.name"));
        }
        Rule::UrlPath(path) => {
            let Some(path_matcher::Rule::Path(matcher)) = path.rule else {
                return Err(Fault::missing("url_path.path"));
            };
            Permission::Path(PathRule::new(match text(matcher).within("url_path.path")? {
                Text::Exact(exact) => PathMatch::Exact(exact),
                Text::Prefix(prefix) => PathMatch::Prefix(prefix),
            }))
        }
        Rule::AndRules(set) => Permission::All(each("and_rules.rules", not_empty(set.rules)?, permission)?),
        Rule::OrRules(set) => Permission::OneOf(each("or_rules.rules", not_empty(set.rules)?, permission)?),
        Rule::NotRule(other) => Permission::Not(Box::new(permission(*other).within("not_rule")?)),
        _ => return Err(unknown("permission")),
    })
}

fn unknown(what: &str) -> Fault {
    Fault::new(format!("is a {what} of a kind that this proxy does not understand"))
}

/// "All of nothing" would be everything: whoever wrote it cannot have meant that.
fn not_empty<T>(list: Vec<T>) -> Result<Vec<T>, Fault> {
    if list.is_empty() { Err(Fault::new("is a set of nothing")) } else { Ok(list) }
}

enum Text {
    Exact(Box<str>),
    Prefix(Box<str>),
}

fn text(matcher: StringMatcher) -> Result<Text, Fault> {
    match matcher.match_pattern {
        Some(MatchPattern::Exact(exact)) => Ok(Text::Exact(exact.into())),
        Some(MatchPattern::Prefix(prefix)) => Ok(Text::Prefix(prefix.into())),
        _ => Err(Fault::new("is a text match of a kind that this proxy does not understand")),
    }
}
