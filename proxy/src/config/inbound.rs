//! The door to the program: which transports it opens to, and what becomes of each request that comes in.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use super::{
    bytes::BytesDoor,
    fold::fold,
    path::{BadPath, NormalPath},
    rules::{Call, Reading, RuleName, Rules},
};
use crate::base::spiffe::SpiffeId;

/// What guards one port of a workload's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// Requests come in there, and each is judged.
    Requests(Arc<Listener>),
    /// Bytes come in there, and who connects is judged.
    Bytes(Arc<Listener<BytesDoor>>),
}

/// The door to one port of a workload's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener<D = Door> {
    /// What guards it: `inbound/<namespace>/<name>:<port>`.
    pub name: Arc<str>,
    /// For callers that prove an identity by mutual TLS; none: they are not listened to.
    pub mutual_tls: Option<Arc<D>>,
    /// For callers that prove nothing; none: they are not listened to.
    pub plaintext: Option<Arc<D>>,
}

/// How the requests of one transport are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Who may pass.
    pub guard: Guard,
    /// Whether paths are brought into their one form before they are judged and handed on.
    pub normalise_paths: bool,
    /// How long a request may stand still before it is given up; none: for ever.
    pub idle_timeout: Option<Duration>,
}

/// The rules of a door. Any deny wins; what no allow names stays shut. Paths are read widely by what denies, and strictly
/// by what allows ([`super::fold`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// What they mean is turned away.
    pub deny: Rules,
    /// Only what they mean may pass.
    pub allow: Rules,
    /// Denies that decide nothing: what would become of a call if they did is told beside the verdict.
    pub audited_deny: Option<Rules>,
    /// Allows that would stand in the place of `allow`.
    pub audited_allow: Option<Rules>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It passes, because of this rule.
    Allowed(&'a RuleName),
    /// It is turned away, because of this rule.
    Denied(&'a RuleName),
    /// It is turned away, because no rule of these policies (`namespace/name`) names it.
    NoRule {
        /// Sorted. Empty: the default of the mesh shuts the door.
        closed_by: &'a [Box<str>],
    },
}

impl Verdict<'_> {
    /// Whether the call passes.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// A verdict, and what audited policies would have made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// What is enforced.
    pub verdict: Verdict<'a>,
    /// What would be enforced if audited policies were; none: nothing is audited.
    pub audit: Option<Verdict<'a>>,
}

impl Guard {
    /// What becomes of `call`.
    pub fn decide(&self, call: Call<'_>) -> Judgement<'_> {
        let verdict = decide(&[&self.deny], &self.allow, call);
        let audits = self.audited_deny.is_some() || self.audited_allow.is_some();
        let audit = audits.then(|| {
            let denies: Vec<&Rules> = [Some(&self.deny), self.audited_deny.as_ref()].into_iter().flatten().collect();
            decide(&denies, self.audited_allow.as_ref().unwrap_or(&self.allow), call)
        });
        Judgement { verdict, audit }
    }

    /// Whether some rule reads paths.
    pub fn reads_paths(&self) -> bool {
        self.all().any(Rules::read_paths)
    }

    fn all(&self) -> impl Iterator<Item = &Rules> {
        let audited = [&self.audited_deny, &self.audited_allow].into_iter().flatten();
        [&self.deny, &self.allow].into_iter().chain(audited)
    }
}

fn decide<'a>(denies: &[&'a Rules], allow: &'a Rules, call: Call<'_>) -> Verdict<'a> {
    if let Some(rule) = denies.iter().find_map(|rules| rules.first(call, Reading::Wide)) {
        return Verdict::Denied(rule);
    }
    match allow.first(call, Reading::Strict) {
        Some(rule) => Verdict::Allowed(rule),
        None => Verdict::NoRule { closed_by: allow.policies() },
    }
}

/// A request as it comes through a door.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who the caller proved to be; none: it proved nothing.
    pub peer: Option<&'a SpiffeId>,
    /// Where its connection comes from.
    pub remote: IpAddr,
    /// As it was sent.
    pub method: &'a str,
    /// As it was sent, without the query.
    pub path: &'a str,
}

/// Why a request cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjudgeable {
    /// Its path has no one form.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// Methods are case-sensitive (RFC 9110 §9.1), and some programs forget that: no rule about DELETE would mean `delete`.
    #[error("the method contains a lower-case letter, which programs read in two ways")]
    Method,
}

/// A request that has been judged.
#[derive(Debug, PartialEq, Eq)]
pub struct Judged<'a, 'p> {
    /// What becomes of it.
    pub judgement: Judgement<'a>,
    /// The path that the program is to see, so that it sees what was judged.
    pub path: Cow<'p, str>,
}

impl<D> Listener<D> {
    /// The door for callers who have proved who they are, or for those who have not; none: they are not listened to.
    pub fn door(&self, proven: bool) -> Option<&Arc<D>> {
        if proven { self.mutual_tls.as_ref() } else { self.plaintext.as_ref() }
    }

    fn doors(&self) -> impl Iterator<Item = &D> {
        [&self.mutual_tls, &self.plaintext].into_iter().flatten().map(AsRef::as_ref)
    }
}

impl Entrance {
    /// What guards it: `inbound/<namespace>/<name>:<port>`.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Requests(listener) => &listener.name,
            Self::Bytes(listener) => &listener.name,
        }
    }

    /// The names of all rules of its doors.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let guards: Vec<&Guard> = match self {
            Self::Requests(listener) => listener.doors().map(|door| &door.guard).collect(),
            Self::Bytes(listener) => listener.doors().map(|door| &door.guard).collect(),
        };
        guards.into_iter().flat_map(Guard::all).flat_map(Rules::all).map(|rule| rule.name.as_str())
    }
}

impl Door {
    /// Judges one request.
    pub fn judge<'p>(&self, request: Incoming<'p>) -> Result<Judged<'_, 'p>, Unjudgeable> {
        let Incoming { peer, remote, method, path } = request;
        if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(Unjudgeable::Method);
        }
        let call = |path, folded| Call { peer, remote, method, path, folded };
        // `OPTIONS *` speaks of the server as a whole (RFC 9112 §3.2.4): no rule of paths can mean it.
        if !self.normalise_paths || (path == "*" && method == "OPTIONS") {
            return Ok(Judged { judgement: self.guard.decide(call(path, path)), path: path.into() });
        }
        let NormalPath { forwarded, matched } = NormalPath::read(path)?;
        let folded = if self.guard.reads_paths() { fold(&matched) } else { String::new() };
        Ok(Judged { judgement: self.guard.decide(call(&matched, &folded)), path: forwarded })
    }
}
