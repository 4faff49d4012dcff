//! What is in force, with every name in it resolved: whoever knows what was called looks it up once, and follows pointers from
//! there, to where it goes ([`service`]) and to what stands there ([`backend`]).
//!
//! A snapshot is made of what was told and of the snapshot before it. Of what both say the same there is one value, so that a swap
//! costs what it changes; what is counted beside it counts on.

pub mod backend;
pub mod service;

use std::{collections::HashMap, sync::Arc};

use backend::{Backend, same};
use service::Service;

use super::{
    Answer, Answers, Config,
    bytes::BytesDoor,
    inbound::{Entrance, Listener},
};

/// All that is in force. Swapped whole; a request reads one from first byte to last.
#[derive(Debug, Default)]
pub struct Snapshot {
    told: Arc<Config>,
    services: Answers<Service>,
    /// Every backend that a service leads to, by its name.
    backends: HashMap<Arc<str>, Arc<Backend>>,
}

impl Snapshot {
    /// What `told` comes to after `before`. `seed` gives another number each time that it is asked ([`super::turns::Turns`]).
    pub fn of(told: Arc<Config>, before: &Self, mut seed: impl FnMut() -> u64) -> Self {
        let mut resolver = Resolver { told: &told, before, backends: HashMap::new() };
        let services = told.services.iter().map(|(authority, answer)| {
            let service = match answer {
                Answer::Held(listener) => Answer::Held(resolver.service(authority, listener, &mut seed)),
                Answer::Absent => Answer::Absent,
                Answer::Refused => Answer::Refused,
            };
            (authority.clone(), service)
        });
        let services = services.collect();
        let backends = resolver.backends;
        Self { told, services, backends }
    }

    /// What it was made of.
    pub fn told(&self) -> &Arc<Config> {
        &self.told
    }

    /// What guards the port of the program that is in this place among its ports.
    pub fn entrance(&self, place: usize) -> Option<&Entrance> {
        self.told.inbound.get(place)?.as_ref()
    }

    /// The door to that port, if requests come in there.
    pub fn door(&self, place: usize) -> Option<&Arc<Listener>> {
        match self.entrance(place)? {
            Entrance::Requests(listener) => Some(listener),
            Entrance::Bytes(_) => None,
        }
    }

    /// The door to that port, if bytes come in there.
    pub fn bytes_door(&self, place: usize) -> Option<&Arc<Listener<BytesDoor>>> {
        match self.entrance(place)? {
            Entrance::Bytes(listener) => Some(listener),
            Entrance::Requests(_) => None,
        }
    }

    /// What is called by `authority` (in its canonical form, see [`super::authority`]). None: nobody has told yet.
    pub fn service(&self, authority: &str) -> Option<&Answer<Service>> {
        self.services.get(authority)
    }

    /// The services that there are.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values().filter_map(|answer| match answer {
            Answer::Held(service) => Some(service),
            Answer::Absent | Answer::Refused => None,
        })
    }
}

/// Looks up names, each once.
struct Resolver<'a> {
    told: &'a Config,
    before: &'a Snapshot,
    backends: HashMap<Arc<str>, Arc<Backend>>,
}

impl Resolver<'_> {
    /// The backend of this name: that of before, if nothing else was told of it since.
    fn backend(&mut self, name: &Arc<str>) -> Arc<Backend> {
        if let Some(known) = self.backends.get(name) {
            return known.clone();
        }
        let before = self.before.backends.get(name);
        let backend = match before {
            Some(before) if same(name, &self.before.told, self.told) => before.clone(),
            _ => Arc::new(Backend::of(name.clone(), self.told, before.map(AsRef::as_ref))),
        };
        self.backends.insert(name.clone(), backend.clone());
        backend
    }
}

#[cfg(test)]
mod tests;
