//! The sockets of a sidecar, and the file that says where they are.

use std::{collections::BTreeMap, io, net::SocketAddr, process};

use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    app::env::{Forward, Settings},
    host::{durable, program::AppPort, state_dir::StateDir},
};

/// Who starts a sidecar waits for this file.
const ADDRESSES: &str = "addresses.json";

/// What a sidecar listens on.
pub struct Listeners {
    /// For callers: one for each port of the program, in the order of the settings.
    pub inbound: Vec<TcpListener>,
    /// For the program's calls.
    pub outbound: TcpListener,
    /// For those to one service each, in the order of the settings.
    pub forward: Vec<TcpListener>,
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
#[derive(Clone, Debug, Deserialize)]
pub struct Addresses {
    /// For callers, by the port of the program that they call.
    pub inbound: BTreeMap<u16, SocketAddr>,
    /// For the program's calls.
    pub outbound: SocketAddr,
    /// For people.
    pub admin: SocketAddr,
}

impl Listeners {
    /// Takes them all. Where any port will do, it is the one of `before` if that is free: others still call it there.
    pub async fn bind(settings: &Settings, before: Option<Addresses>) -> Result<Self, NoListener> {
        let before = before.as_ref();
        let mut inbound = Vec::new();
        let mut place = settings.inbound_listen;
        for AppPort { port, .. } in &settings.app_ports {
            let before = before.and_then(|before| before.inbound.get(port)).copied();
            inbound.push(bind("SLUICE_INBOUND_LISTEN", place, before).await?);
            if place.port() != 0 {
                // That there are so many, the settings have seen to.
                place.set_port(place.port().wrapping_add(1));
            }
        }
        let mut forward = Vec::new();
        for Forward { port, .. } in &settings.forward {
            let place = SocketAddr::new(settings.outbound_listen.ip(), *port);
            forward.push(bind("SLUICE_FORWARD", place, None).await?);
        }
        Ok(Self {
            inbound,
            forward,
            outbound: bind("SLUICE_OUTBOUND_LISTEN", settings.outbound_listen, before.map(|before| before.outbound))
                .await?,
            admin: bind("SLUICE_ADMIN_LISTEN", settings.admin_listen, before.map(|before| before.admin)).await?,
        })
    }

    /// Where those are that nobody has chosen, of a program with these ports.
    pub fn addresses(&self, app_ports: &[AppPort]) -> io::Result<Addresses> {
        let inbound = app_ports.iter().zip(&self.inbound).map(|(app, listener)| Ok((app.port, listener.local_addr()?)));
        Ok(Addresses {
            inbound: inbound.collect::<io::Result<_>>()?,
            outbound: self.outbound.local_addr()?,
            admin: self.admin.local_addr()?,
        })
    }
}

impl Addresses {
    /// Removes what an earlier sidecar wrote, for nobody must take it for ours, and gives it.
    pub fn take(directory: &StateDir) -> Option<Self> {
        let file = directory.path().join(ADDRESSES);
        let before = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        // If it cannot be removed, it cannot be replaced either, and that is told.
        let _ = std::fs::remove_file(file);
        before
    }

    /// Writes them where whoever started this sidecar looks.
    pub fn tell(&self, directory: &StateDir) -> Result<(), NoListener> {
        let Self { inbound, outbound, admin } = self;
        let text = json!({ "pid": process::id(), "inbound": inbound, "outbound": outbound, "admin": admin });
        durable::write(&directory.path().join(ADDRESSES), text.to_string().as_bytes()).map_err(NoListener::Tell)
    }
}

async fn bind(
    setting: &'static str,
    address: SocketAddr,
    before: Option<SocketAddr>,
) -> Result<TcpListener, NoListener> {
    if let Some(before) = before.filter(|before| address.port() == 0 && before.ip() == address.ip())
        && let Ok(listener) = TcpListener::bind(before).await
    {
        return Ok(listener);
    }
    TcpListener::bind(address).await.map_err(|source| NoListener::Bind { setting, address, source })
}
