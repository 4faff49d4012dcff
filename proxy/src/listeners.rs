//! The sockets of a sidecar, and the file that says where they are.

use std::{io, net::SocketAddr, process};

use serde_json::json;
use tokio::net::TcpListener;

use crate::{durable, env::Settings, state_dir::StateDir};

/// Who starts a sidecar waits for this file.
const ADDRESSES: &str = "addresses.json";

/// What a sidecar listens on.
pub struct Listeners {
    /// For callers; none: the program only calls.
    pub inbound: Option<TcpListener>,
    /// For the program's calls.
    pub outbound: TcpListener,
    /// For people.
    pub admin: TcpListener,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoListener {
    /// Somebody else has it, or the system says no.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Bind {
        /// What says where.
        setting: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Nobody would find it.
    #[error("cannot write {ADDRESSES}: {0}")]
    Tell(io::Error),
}

/// Where the sockets are.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For callers; none: the program only calls.
    pub inbound: Option<SocketAddr>,
    /// For the program's calls.
    pub outbound: SocketAddr,
    /// For people.
    pub admin: SocketAddr,
}

impl Listeners {
    /// Takes them all.
    pub async fn bind(settings: &Settings) -> Result<Self, NoListener> {
        let inbound = match settings.app_port {
            Some(_) => Some(bind("SLUICE_INBOUND_LISTEN", settings.inbound_listen).await?),
            None => None,
        };
        Ok(Self {
            inbound,
            outbound: bind("SLUICE_OUTBOUND_LISTEN", settings.outbound_listen).await?,
            admin: bind("SLUICE_ADMIN_LISTEN", settings.admin_listen).await?,
        })
    }

    /// Where they are.
    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            inbound: self.inbound.as_ref().map(TcpListener::local_addr).transpose()?,
            outbound: self.outbound.local_addr()?,
            admin: self.admin.local_addr()?,
        })
    }
}

impl Addresses {
    /// Removes what an earlier sidecar wrote: nobody must take it for ours.
    pub fn forget(directory: &StateDir) {
        // If it cannot be removed, it cannot be replaced either, and that is told.
        let _ = std::fs::remove_file(directory.path().join(ADDRESSES));
    }

    /// Writes them where whoever started this sidecar looks.
    pub fn tell(&self, directory: &StateDir) -> Result<(), NoListener> {
        let Self { inbound, outbound, admin } = self;
        let text = json!({ "pid": process::id(), "inbound": inbound, "outbound": outbound, "admin": admin });
        durable::write(&directory.path().join(ADDRESSES), text.to_string().as_bytes()).map_err(NoListener::Tell)
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, NoListener> {
    TcpListener::bind(address).await.map_err(|source| NoListener::Bind { setting, address, source })
}
