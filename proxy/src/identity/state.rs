//! The identity on disk. A sidecar that is started again must serve with no control plane, so the key may rest there,
//! readable by its owner alone; it never travels. One file, so that key and certificate always belong together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::credentials::Material;
use crate::host::durable;

const FILE: &str = "identity.json";

/// Where the identity rests.
#[derive(Clone, Debug)]
pub struct Resting(PathBuf);

/// Certificates and the key in base64 of their DER.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    namespace: String,
    name: String,
    key: String,
    chain: Vec<String>,
    trust_anchors: Vec<String>,
}

impl Resting {
    /// In the state directory of a sidecar.
    pub fn within(directory: &Path) -> Self {
        Self(directory.join(FILE))
    }

    /// What was last written. `None`: nothing was.
    pub fn read(&self) -> io::Result<Option<Material>> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let written: Written = serde_json::from_slice(&text)?;
        let der = |text: &String| BASE64_STANDARD.decode(text).map_err(io::Error::other);
        Ok(Some(Material {
            key: der(&written.key)?,
            chain: written.chain.iter().map(der).collect::<Result<_, _>>()?,
            anchors: written.trust_anchors.iter().map(der).collect::<Result<_, _>>()?,
            namespace: written.namespace,
            name: written.name,
        }))
    }

    /// Replaces what is there.
    pub fn write(&self, material: &Material) -> io::Result<()> {
        let print = |der: &Vec<u8>| BASE64_STANDARD.encode(der);
        let written = Written {
            namespace: material.namespace.clone(),
            name: material.name.clone(),
            key: print(&material.key),
            chain: material.chain.iter().map(print).collect(),
            trust_anchors: material.anchors.iter().map(print).collect(),
        };
        durable::write(&self.0, &serde_json::to_vec_pretty(&written)?)
    }
}
