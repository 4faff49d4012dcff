//! Whose calls are taken on loopback, where every user of the machine comes by: whoever is heard there speaks with the
//! identity of the workload.

use std::{io, net::SocketAddr, num::ParseIntError, str::FromStr, sync::Arc};

use rustix::process::{Uid, geteuid};

use crate::host::sockets;

/// What was wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: the sidecar's own user, where that can be said.
    Unsaid,
    /// Anybody's.
    Any,
    /// Those of these users, and of the sidecar's own if that is said.
    Only {
        /// The sidecar's own.
        own: bool,
        /// These.
        others: Vec<u32>,
    },
}

/// Whose calls are taken.
#[derive(Clone, Debug)]
pub struct Users(Option<Arc<[u32]>>);

/// Somebody else.
#[derive(Debug, thiserror::Error)]
pub enum Stranger {
    /// A user of the machine whose calls are not taken.
    #[error("user {0} may not call here; SLUICE_LOCAL_USERS says who may")]
    User(u32),
    /// Who has hung up already, so that nobody knows whose call it was.
    #[error("whoever called has hung up")]
    Gone,
    /// The system does not say.
    #[error("cannot tell who calls: {0}")]
    Unknown(#[from] io::Error),
}

impl Stranger {
    /// What such connections are counted under.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::User(_) => "other_user",
            Self::Gone => "gone",
            Self::Unknown(_) => "unknown_user",
        }
    }
}

impl Users {
    /// Everybody.
    pub fn any() -> Self {
        Self(None)
    }

    /// Those that were wished. Without a wish, only our own user is heard where the program is sure to be that one: when
    /// it is started from here, and not by root, under whom programs become others.
    pub fn wished(wish: &Wish, starts_program: bool) -> io::Result<Self> {
        let users = match wish {
            Wish::Unsaid if starts_program && !geteuid().is_root() => {
                // Where the system does not say whose a socket is, nobody wished that calls be refused for it.
                return Ok(if can_tell().is_ok() { Self(Some([geteuid().as_raw()].into())) } else { Self::any() });
            }
            Wish::Unsaid | Wish::Any => return Ok(Self::any()),
            Wish::Only { own, others } => {
                let own = own.then(|| geteuid().as_raw());
                Self(Some(others.iter().copied().chain(own).collect()))
            }
        };
        can_tell()?;
        Ok(users)
    }

    /// Whether the calls on a connection are taken that comes from `remote` to `local`.
    pub fn admit(&self, remote: SocketAddr, local: SocketAddr) -> Result<(), Stranger> {
        let Some(users) = &self.0 else { return Ok(()) };
        let owner = sockets::owner(remote, local)?.ok_or(Stranger::Gone)?;
        // Who is root may become whoever it likes.
        if owner == Uid::ROOT || users.contains(&owner.as_raw()) {
            return Ok(());
        }
        Err(Stranger::User(owner.as_raw()))
    }
}

impl FromStr for Wish {
    type Err = ParseIntError;

    /// `any`, or `own` and numbers of users, with commas between them.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let (own, others): (Vec<&str>, Vec<&str>) = text.split(',').partition(|word| *word == "own");
        Ok(Self::Only { own: !own.is_empty(), others: others.into_iter().map(str::parse).collect::<Result<_, _>>()? })
    }
}

/// Whether the system says whose a socket is.
fn can_tell() -> io::Result<()> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    sockets::owner(nobody, nobody).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let only = |own, others: &[u32]| Some(Wish::Only { own, others: others.to_vec() });
        let cases = [
            ("any", Some(Wish::Any)),
            ("own", only(true, &[])),
            ("1000", only(false, &[1000])),
            ("own,33,1000", only(true, &[33, 1000])),
            ("", None),
            ("own,", None),
            ("www-data", None),
            ("any,33", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
    }
}
