//! The directory in which a sidecar keeps what it needs when it is started again. It belongs to one sidecar at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, set_permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The lock file's name.
const LOCK: &str = "lock";

/// A directory that is ours while this lives.
pub struct StateDir {
    path: PathBuf,
    /// The system gives the lock up with the process, however that ends.
    _lock: File,
}

/// Why it is not ours.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// Somebody else is there.
    #[error("another sidecar uses {0}; give each its own SLUICE_STATE_DIR")]
    Taken(PathBuf),
    /// It cannot be used.
    #[error("cannot use {path} as SLUICE_STATE_DIR: {source}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StateDir {
    /// Makes the directory, closes it to everybody else, and takes it.
    pub fn claim(path: &Path) -> Result<Self, NotOurs> {
        let unusable = |source| NotOurs::Unusable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
        let mut options = OpenOptions::new();
        let lock =
            options.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(NotOurs::Taken(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_at_a_time_and_to_nobody_else() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = StateDir::claim(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(StateDir::claim(&path), Err(NotOurs::Taken(_))));
        drop(first);
        assert!(StateDir::claim(&path).is_ok());
    }
}
