//! Where calls to a service go.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::split::Split;

/// The way in to a service, as callers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceListener {
    /// Where its calls go.
    pub leads: Leads,
    /// How long a call may stand still before it is given up; none: for ever.
    pub idle_timeout: Option<Duration>,
}

/// Where the calls to a service go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// Request by request, as the table of this name says.
    Requests(Arc<str>),
    /// They are connections of which nothing else is known, and all go this way.
    Bytes {
        /// The way: there are no paths to tell them apart by.
        route: Arc<Route>,
        /// Every backend that it names.
        backends: Vec<Arc<str>>,
        /// They are TLS, and whom it is for is noted.
        names: bool,
    },
}

impl ServiceListener {
    /// The backends that it names by itself.
    pub fn backends(&self) -> &[Arc<str>] {
        match &self.leads {
            Leads::Requests(_) => &[],
            Leads::Bytes { backends, .. } => backends,
        }
    }
}

/// Where calls go, by the authority that was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Routes by authority (`*`: every other one), in the order in which they are tried.
    pub hosts: HashMap<Box<str>, Arc<[Arc<Route>]>>,
    /// Every backend that some route names. One without weight is here too: it may gain some at any moment.
    pub backends: Vec<Arc<str>>,
}

/// Some calls, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The object that wants it so, for people: `TrafficSplit shop/cart`.
    pub name: Arc<str>,
    /// Which calls.
    pub path: PathMatch,
    /// What becomes of them.
    pub action: Action,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes to one of these.
    Forward {
        /// Backends by their shares.
        split: Split,
        /// What callers hear whose share goes to a backend that does not exist.
        missing_backend_status: u16,
    },
    /// It is answered here, with this status.
    Respond(u16),
}

/// Which paths a route or a rule means. Queries are no part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// This one.
    Exact(Box<str>),
    /// Every path that begins so.
    Prefix(Box<str>),
}

impl PathMatch {
    /// Whether `path`, without a query, is meant.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Prefix(prefix) => path.starts_with(&**prefix),
        }
    }
}

impl RouteTable {
    /// The routes of `authority`.
    pub fn of(&self, authority: &str) -> &[Arc<Route>] {
        self.hosts.get(authority).or_else(|| self.hosts.get("*")).map_or(&[], |routes| routes)
    }
}
