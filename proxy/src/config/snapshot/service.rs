//! A service, and the ways that calls to it go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Resolver,
    backend::{Backend, same_answer},
};
use crate::config::{
    Answer,
    route::{self, Leads, PathMatch, ServiceListener},
    split::Split,
    turns::Turns,
};

/// What callers mean by a name.
#[derive(Debug)]
pub struct Service {
    /// What it is called, with its port.
    pub authority: Arc<str>,
    /// How long a call may stand still before it is given up; none: for ever.
    pub idle_timeout: Option<Duration>,
    /// Where calls go.
    pub way: Way,
    told: Arc<ServiceListener>,
    called: Arc<AtomicU64>,
}

/// Where calls to a service go.
#[derive(Debug)]
pub enum Way {
    /// The control plane has not told yet.
    Untold,
    /// What the control plane told cannot be obeyed.
    Refused,
    /// Call by call, by the first of these that wants it.
    Http(Box<[Route]>),
    /// They are connections, and all of them go this way.
    Bytes(Box<Route>),
}

/// Some calls, and what becomes of them.
#[derive(Debug)]
pub struct Route {
    /// What becomes of them.
    pub action: Action,
    /// Whose turn it is.
    pub turns: Arc<Turns>,
    told: Arc<route::Route>,
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Action {
    /// It goes to one of these.
    Forward {
        /// Backends by their shares.
        split: Split<Arc<Backend>>,
        /// What callers hear whose share goes to a backend that does not exist.
        missing_backend_status: u16,
    },
    /// It is answered here, with this status.
    Respond(u16),
}

impl Service {
    /// The first route that wants a call to `path`. None: none of them does, or they are not known.
    pub fn route(&self, path: &str) -> Option<&Route> {
        match &self.way {
            Way::Http(routes) => routes.iter().find(|route| route.told.path.matches(path)),
            Way::Bytes(_) | Way::Untold | Way::Refused => None,
        }
    }

    /// Whether whom the TLS of its callers is for is noted.
    pub fn notes_names(&self) -> bool {
        matches!(self.told.leads, Leads::Bytes { names: true, .. })
    }

    /// Notes that it was called, and by which of all calls.
    pub fn note_call(&self, number: u64) {
        self.called.store(number, Ordering::Relaxed);
    }

    /// Which of all calls was the last to it.
    pub fn last_called(&self) -> &Arc<AtomicU64> {
        &self.called
    }

    fn routes(&self) -> &[Route] {
        match &self.way {
            Way::Http(routes) => routes,
            Way::Bytes(route) => std::slice::from_ref(route),
            Way::Untold | Way::Refused => &[],
        }
    }

    fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.routes().iter().flat_map(Route::backends)
    }
}

impl Route {
    /// The object that wants it so, for people.
    pub fn name(&self) -> &Arc<str> {
        &self.told.name
    }

    /// Which calls it wants.
    pub fn path(&self) -> &PathMatch {
        &self.told.path
    }

    fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        let split = match &self.action {
            Action::Forward { split, .. } => Some(split),
            Action::Respond(_) => None,
        };
        split.into_iter().flat_map(Split::shares).map(|(backend, _)| backend)
    }
}

impl Resolver<'_> {
    /// The service that `listener` is the way in to: that of before, if all that it leads to is the same.
    pub(super) fn service(
        &mut self,
        authority: &Arc<str>,
        listener: &Arc<ServiceListener>,
        seed: &mut impl FnMut() -> u64,
    ) -> Arc<Service> {
        let before = match self.before.services.get(authority) {
            Some(Answer::Held(service)) => Some(service),
            _ => None,
        };
        if let Some(before) = before
            && self.leads_to_the_same(before, listener)
        {
            return before.clone();
        }
        let told = self.told;
        let mut route = |told| self.route(told, before.map(AsRef::as_ref), seed);
        let way = match &listener.leads {
            Leads::Bytes { route: told, .. } => Way::Bytes(Box::new(route(told))),
            Leads::Requests(table) => match told.routes.get(table) {
                None => Way::Untold,
                Some(Answer::Refused) => Way::Refused,
                Some(Answer::Absent) => Way::Http(Box::default()),
                Some(Answer::Held(table)) => Way::Http(table.of(authority).iter().map(route).collect()),
            },
        };
        Arc::new(Service {
            authority: authority.clone(),
            idle_timeout: listener.idle_timeout,
            way,
            told: listener.clone(),
            called: before.map_or_else(Arc::default, |before| before.called.clone()),
        })
    }

    fn leads_to_the_same(&mut self, before: &Arc<Service>, listener: &Arc<ServiceListener>) -> bool {
        let says_the_same = match &listener.leads {
            Leads::Bytes { .. } => true,
            Leads::Requests(table) => same_answer(self.before.told.routes.get(table), self.told.routes.get(table)),
        };
        Arc::ptr_eq(&before.told, listener)
            && says_the_same
            && before.backends().all(|backend| Arc::ptr_eq(backend, &self.backend(&backend.name)))
    }

    /// A route of a service. It counts on while it says the same as before.
    fn route(&mut self, told: &Arc<route::Route>, before: Option<&Service>, seed: &mut impl FnMut() -> u64) -> Route {
        let same_place = |known: &&Route| known.told.name == told.name && known.told.path == told.path;
        let turns = match before.and_then(|service| service.routes().iter().find(same_place)) {
            Some(known) if known.told == *told => known.turns.clone(),
            Some(known) => Arc::new(known.turns.anew()),
            None => Arc::new(Turns::new(seed())),
        };
        let action = match &told.action {
            route::Action::Respond(status) => Action::Respond(*status),
            route::Action::Forward { split, missing_backend_status } => Action::Forward {
                split: split.to(|name| self.backend(name)),
                missing_backend_status: *missing_backend_status,
            },
        };
        Route { action, turns, told: told.clone() }
    }
}
