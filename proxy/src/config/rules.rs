//! Who may do what: the rules of a guard, and whether one of them means a call.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{fold::PathRule, network::Network};
use crate::base::spiffe::SpiffeId;

/// A request, as far as rules ask about it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who the caller proved to be; none: it proved nothing.
    pub peer: Option<&'a SpiffeId>,
    /// Where its connection comes from.
    pub remote: IpAddr,
    /// As it was sent.
    pub method: &'a str,
    /// Without a query; where rules read paths, in the form that [`super::path`] makes for matching.
    pub path: &'a str,
    /// What a careless program makes of the path ([`super::fold`]); where no rule reads paths, anything.
    pub folded: &'a str,
}

/// How generously the paths of a rule are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As they are written, for what opens.
    Strict,
    /// As the most careless program would, for what shuts.
    Wide,
}

impl Reading {
    /// How the opposite of something is read: what is left out of a denial must not be left out generously.
    const fn of_the_opposite(self) -> Self {
        match self {
            Self::Strict => Self::Wide,
            Self::Wide => Self::Strict,
        }
    }
}

/// What a rule is called: `namespace/policy/index` for one that somebody wrote, `default/<mode>` for the mesh's default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleName(Arc<str>);

impl RuleName {
    /// Any text is a name; only `a/b/n` names a policy.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The policy that the rule is part of: `namespace/policy`. None for the default of the mesh.
    pub fn policy(&self) -> Option<&str> {
        let (policy, _index) = self.0.rsplit_once('/')?;
        policy.contains('/').then_some(policy)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One rule: some callers may, or may not, do some things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What verdicts call it.
    pub name: RuleName,
    /// Any of these callers.
    pub principals: Vec<Principal>,
    /// Any of these things.
    pub permissions: Vec<Permission>,
}

impl Rule {
    /// Whether the rule speaks of `call`, if its paths are read so.
    pub fn means(&self, call: Call<'_>, reading: Reading) -> bool {
        self.principals.iter().any(|principal| principal.means(call))
            && self.permissions.iter().any(|permission| permission.means(call, reading))
    }
}

/// Some callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Really everybody.
    Anyone,
    /// Whoever proved an identity that reads so.
    Identity(IdentityMatch),
    /// Whoever calls from there.
    From(Network),
    /// Who is all of these.
    All(Vec<Principal>),
    /// Who is any of these.
    OneOf(Vec<Principal>),
    /// Who is not this.
    Not(Box<Principal>),
}

/// Which identities a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityMatch {
    /// Every identity of this mesh.
    Any,
    /// This one.
    Exact(Box<str>),
    /// Every one that begins so.
    Prefix(Box<str>),
}

/// Some things to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everything.
    Anything,
    /// Requests with this method.
    Method(Box<str>),
    /// Requests for such a path.
    Path(PathRule),
    /// What is all of these.
    All(Vec<Permission>),
    /// What is any of these.
    OneOf(Vec<Permission>),
    /// What is not this.
    Not(Box<Permission>),
}

impl Principal {
    fn means(&self, call: Call<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Identity(identity) => call.peer.is_some_and(|peer| identity.means(peer)),
            Self::From(network) => network.contains(call.remote),
            Self::All(all) => all.iter().all(|one| one.means(call)),
            Self::OneOf(some) => some.iter().any(|one| one.means(call)),
            Self::Not(other) => !other.means(call),
        }
    }
}

impl IdentityMatch {
    fn means(&self, peer: &SpiffeId) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => peer.as_str() == &**exact,
            Self::Prefix(prefix) => peer.as_str().starts_with(&**prefix),
        }
    }
}

impl Permission {
    fn means(&self, call: Call<'_>, reading: Reading) -> bool {
        match self {
            Self::Anything => true,
            Self::Method(method) => call.method == &**method,
            Self::Path(path) if reading == Reading::Wide => path.may_mean(call.path, call.folded),
            Self::Path(path) => path.means(call.path),
            Self::All(all) => all.iter().all(|one| one.means(call, reading)),
            Self::OneOf(some) => some.iter().any(|one| one.means(call, reading)),
            Self::Not(other) => !other.means(call, reading.of_the_opposite()),
        }
    }

    /// Whether the answer depends on what only a request has: a method, a path.
    pub fn reads_request(&self) -> bool {
        match self {
            Self::Path(_) | Self::Method(_) => true,
            Self::Anything => false,
            Self::All(parts) | Self::OneOf(parts) => parts.iter().any(Self::reads_request),
            Self::Not(other) => other.reads_request(),
        }
    }

    /// Whether the answer depends on the path of a call.
    pub fn reads_path(&self) -> bool {
        match self {
            Self::Path(_) => true,
            Self::Anything | Self::Method(_) => false,
            Self::All(parts) | Self::OneOf(parts) => parts.iter().any(Self::reads_path),
            Self::Not(other) => other.reads_path(),
        }
    }
}

/// Rules in the order of their names: of several that mean a call, the first is the one that verdicts name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    all: Vec<Rule>,
    /// The policies that the rules are part of, sorted, each once.
    policies: Vec<Box<str>>,
    /// Whether some rule reads paths.
    read_paths: bool,
}

impl Rules {
    /// These rules, in whatever order they came.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        let mut policies: Vec<Box<str>> = rules.iter().filter_map(|rule| rule.name.policy()).map(Into::into).collect();
        policies.sort_unstable();
        policies.dedup();
        let read_paths = rules.iter().any(|rule| rule.permissions.iter().any(Permission::reads_path));
        Self { all: rules, policies, read_paths }
    }

    /// The first rule that means `call`, if its paths are read so.
    pub fn first(&self, call: Call<'_>, reading: Reading) -> Option<&RuleName> {
        self.all.iter().find(|rule| rule.means(call, reading)).map(|rule| &rule.name)
    }

    /// The policies that the rules are part of.
    pub fn policies(&self) -> &[Box<str>] {
        &self.policies
    }

    /// Every rule, in order.
    pub fn all(&self) -> &[Rule] {
        &self.all
    }

    /// Whether some rule reads paths.
    pub fn read_paths(&self) -> bool {
        self.read_paths
    }
}
