//! What is known of the resources of one kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::google::protobuf::Any;

use super::decode::Decoded;
use crate::config::{Answer, Answers};

/// A resource that is in force, or warming.
#[derive(Clone, Debug)]
pub struct Held {
    /// What the control plane calls this state of it.
    pub version: String,
    /// As it came, for the copy on disk.
    pub raw: Any,
    /// What it says.
    pub decoded: Decoded,
}

/// A resource that this proxy could not obey. The last good one, if any, stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the control plane calls this state of it.
    pub version: String,
    /// Why, in one sentence.
    pub reason: String,
}

/// The resources of one kind that the proxy asks for, and what it was told of them.
#[derive(Debug, Default)]
pub struct Table {
    /// What is asked for.
    pub subscribed: BTreeSet<Arc<str>>,
    /// What is in force.
    pub held: BTreeMap<Arc<str>, Held>,
    /// What was asked for and does not exist.
    pub absent: BTreeSet<Arc<str>>,
    /// What could not be obeyed, until something better comes.
    pub refused: BTreeMap<Arc<str>, Refused>,
}

/// Names that are asked for, and names that no longer are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New ones.
    pub subscribe: Vec<Arc<str>>,
    /// Gone ones.
    pub unsubscribe: Vec<Arc<str>>,
}

impl Table {
    /// Asks for `wanted` and nothing else; what is no longer wanted is forgotten.
    pub fn want(&mut self, wanted: BTreeSet<Arc<str>>) -> Change {
        let subscribe = wanted.difference(&self.subscribed).cloned().collect();
        let unsubscribe: Vec<Arc<str>> = self.subscribed.difference(&wanted).cloned().collect();
        for name in &unsubscribe {
            self.held.remove(name);
            self.absent.remove(name);
            self.refused.remove(name);
        }
        self.subscribed = wanted;
        Change { subscribe, unsubscribe }
    }

    /// Whether something is known of all that is asked for.
    pub fn is_answered(&self) -> bool {
        let known =
            |name| self.held.contains_key(name) || self.absent.contains(name) || self.refused.contains_key(name);
        self.subscribed.iter().all(known)
    }

    /// Puts a resource in force.
    pub fn hold(&mut self, name: Arc<str>, resource: Held) {
        self.absent.remove(&name);
        self.refused.remove(&name);
        self.held.insert(name, resource);
    }

    /// Notes that a resource that is asked for does not exist.
    pub fn remove(&mut self, name: &str) {
        let Some(name) = self.subscribed.get(name).cloned() else { return };
        self.held.remove(&name);
        self.refused.remove(&name);
        self.absent.insert(name);
    }

    /// Whether it is known what `name` is, be it nothing.
    pub fn knows(&self, name: &str) -> bool {
        self.held.contains_key(name) || self.absent.contains(name)
    }

    /// Why nothing is known of `name` although it was told.
    pub fn refusal(&self, name: &str) -> Option<&Refused> {
        if self.knows(name) { None } else { self.refused.get(name) }
    }

    /// What is known, for those who obey it.
    pub fn answers<T>(&self, pick: impl Fn(&Decoded) -> Option<&Arc<T>>) -> Answers<T> {
        let held = self.held.iter().filter_map(|(name, held)| {
            let value = pick(&held.decoded)?;
            Some((name.clone(), Answer::Held(value.clone())))
        });
        let absent = self.absent.iter().map(|name| (name.clone(), Answer::Absent));
        let refused = self.refused.keys().filter(|name| !self.knows(name)).map(|name| (name.clone(), Answer::Refused));
        held.chain(absent).chain(refused).collect()
    }
}
