//! What people may want to see of the stream: what is held in which version, what warms up, what was refused.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{kind::Kind, mirror::Mirror};

/// The state of the stream and of what came over it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether there is a stream on which the control plane has answered.
    pub connected: bool,
    /// By kind and by name: the version in force.
    pub versions: BTreeMap<&'static str, BTreeMap<Arc<str>, String>>,
    /// By kind: what was asked for and does not exist.
    pub absent: BTreeMap<&'static str, Vec<Arc<str>>>,
    /// Route tables, and services of bytes, that wait for their backends, with the versions that wait.
    pub warming: BTreeMap<Arc<str>, String>,
    /// By kind and by name: what could not be obeyed, while nothing better has come.
    pub refused: BTreeMap<&'static str, BTreeMap<Arc<str>, Refusal>>,
}

/// What could not be obeyed.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// What the control plane calls this state of it.
    pub version: String,
    /// Why, in one sentence.
    pub reason: String,
}

impl Report {
    /// What is to be seen of `mirror`.
    pub fn of(mirror: &Mirror, connected: bool) -> Self {
        let mut report = Self { connected, ..Self::default() };
        for kind in Kind::ALL {
            let (word, table) = (kind.word(), mirror.table(kind));
            let versions = table.held.iter().map(|(name, held)| (name.clone(), held.version.clone()));
            report.versions.insert(word, versions.collect());
            report.absent.insert(word, table.absent.iter().cloned().collect());
            let refused = table.refused.iter().map(|(name, refused)| {
                (name.clone(), Refusal { version: refused.version.clone(), reason: refused.reason.clone() })
            });
            report.refused.insert(word, refused.collect());
        }
        report.warming = mirror.warming().map(|(name, version)| (name.clone(), version.to_owned())).collect();
        report
    }
}
