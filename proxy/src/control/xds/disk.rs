//! The copy of the configuration on disk: a sidecar that is started again serves before the control plane answers, and
//! without it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use prost::Message;

use crate::host::durable;

const FILE: &str = "last-config.bin";

/// What a file begins with; the digit changes with the layout. Then the check sum, then responses, each after its length.
const MAGIC: &[u8] = b"sluice-config-1\n";

/// Where the copy is.
#[derive(Clone, Debug)]
pub struct Copy(PathBuf);

/// Why a copy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its content is not what was written.
    #[error("the file is damaged")]
    Damaged,
}

impl Copy {
    /// The copy in the state directory of a sidecar.
    pub fn within(directory: &Path) -> Self {
        Self(directory.join(FILE))
    }

    /// What was last written. `None`: nothing was.
    pub fn read(&self) -> Result<Option<Vec<DeltaDiscoveryResponse>>, Unusable> {
        match fs::read(&self.0) {
            Ok(content) => parse(&content).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what is held now.
    pub fn write(&self, responses: &[DeltaDiscoveryResponse]) -> io::Result<()> {
        durable::write(&self.0, &print(responses))
    }
}

fn print(responses: &[DeltaDiscoveryResponse]) -> Vec<u8> {
    let body: Vec<u8> = responses.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
    [MAGIC, &check_sum(&body).to_le_bytes(), &body].concat()
}

fn parse(content: &[u8]) -> Result<Vec<DeltaDiscoveryResponse>, Unusable> {
    let rest = content.strip_prefix(MAGIC).ok_or(Unusable::Damaged)?;
    let (sum, mut body) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
    if u64::from_le_bytes(*sum) != check_sum(body) {
        return Err(Unusable::Damaged);
    }
    let mut responses = Vec::new();
    while !body.is_empty() {
        let response = DeltaDiscoveryResponse::decode_length_delimited(&mut body).map_err(|_| Unusable::Damaged)?;
        responses.push(response);
    }
    Ok(responses)
}

/// FNV-1a. Against accidents: who may write the file may write anything into it.
fn check_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_nothing_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let copy = Copy::within(directory.path());
        assert!(copy.read().unwrap().is_none());
        let response = |name: &str| DeltaDiscoveryResponse { type_url: name.into(), ..Default::default() };
        let written = [response("one"), response("two")];
        copy.write(&written).unwrap();
        assert_eq!(copy.read().unwrap().unwrap(), written);
        let path = directory.path().join(FILE);
        let good = fs::read(&path).unwrap();
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(matches!(copy.read(), Err(Unusable::Damaged)), "byte {place}");
            fs::write(&path, &good[..place]).unwrap();
            assert!(matches!(copy.read(), Err(Unusable::Damaged)), "cut at {place}");
        }
    }
}
