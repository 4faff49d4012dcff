//! The places of callers that are in. Those who have proved nothing share a small part of them, and nobody, be it an
//! address or an identity, has more than half: whatever one of them does, others get in.

use std::net::IpAddr;

use crate::base::{
    gate::{Gate, Pass},
    shares::{Full, Share, Shares, neighbourhood},
    spiffe::SpiffeId,
};

/// One of so many places is for callers without an identity.
const STRANGERS: usize = 4;

/// An address, or an identity, gets one of so many places.
const EACH: usize = 2;

/// So many places there are for anybody, however few there are in all.
const LEAST: usize = 8;

/// Who is in.
#[derive(Clone, Debug)]
pub struct Callers {
    all: Gate,
    members_by_address: Shares<IpAddr>,
    members_by_identity: Shares<SpiffeId>,
    strangers: Shares<IpAddr>,
}

/// The place of one caller, for as long as it is held.
#[derive(Debug)]
pub struct Admitted {
    _place: Pass,
    _address: Share<IpAddr>,
    _identity: Option<Share<SpiffeId>>,
}

impl Callers {
    /// So many places for all.
    pub fn new(most: usize) -> Self {
        let part = |of: usize, parts: usize| (of / parts).max(LEAST).min(of);
        let strangers = part(most, STRANGERS);
        Self {
            all: Gate::new(most),
            members_by_address: Shares::new(most, part(most, EACH)),
            members_by_identity: Shares::new(most, part(most, EACH)),
            strangers: Shares::new(strangers, part(strangers, EACH)),
        }
    }

    /// Whether somebody who calls from `address`, and is about to prove who it is, would find a place: a proof costs both
    /// sides, and is for nothing if there is none.
    pub fn would_admit(&self, address: IpAddr) -> Result<(), &'static str> {
        if self.all.inside() >= self.all.most() {
            return Err(TOO_MANY);
        }
        self.members_by_address.has_room(&neighbourhood(address)).map_err(of_address)
    }

    /// Admits a caller who has proved to be `id`.
    pub fn member(&self, address: IpAddr, id: &SpiffeId) -> Result<Admitted, &'static str> {
        let identity = self.members_by_identity.enter(id).map_err(|full| match full {
            Full::All => TOO_MANY,
            Full::Share => "too_many_of_identity",
        })?;
        let address = self.members_by_address.enter(&neighbourhood(address)).map_err(of_address)?;
        Ok(Admitted { _place: self.all.enter().ok_or(TOO_MANY)?, _address: address, _identity: Some(identity) })
    }

    /// Admits a caller who has proved nothing.
    pub fn stranger(&self, address: IpAddr) -> Result<Admitted, &'static str> {
        let address = self.strangers.enter(&neighbourhood(address)).map_err(|full| match full {
            Full::All => "too_many_without_identity",
            Full::Share => "too_many_of_address",
        })?;
        Ok(Admitted { _place: self.all.enter().ok_or(TOO_MANY)?, _address: address, _identity: None })
    }

    /// How many places there are.
    pub fn most(&self) -> usize {
        self.all.most()
    }

    /// How many are in.
    pub fn inside(&self) -> usize {
        self.all.inside()
    }
}

const TOO_MANY: &str = "too_many_connections";

fn of_address(full: Full) -> &'static str {
    match full {
        Full::All => TOO_MANY,
        Full::Share => "too_many_of_address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn strangers_and_loud_members_leave_room() {
        let callers = Callers::new(80);
        let id = |name: &str| SpiffeId::parse(&format!("spiffe://sluice.local/ns/shop/sa/{name}")).unwrap();
        let mut strangers = Vec::new();
        for _ in 0..10 {
            strangers.push(callers.stranger(address(1)).unwrap());
        }
        assert_eq!(callers.stranger(address(1)).unwrap_err(), "too_many_of_address");
        for _ in 0..10 {
            strangers.push(callers.stranger(address(2)).unwrap());
        }
        assert_eq!(callers.stranger(address(3)).unwrap_err(), "too_many_without_identity");
        let mut members = Vec::new();
        for host in 0..40 {
            members.push(callers.member(address(host), &id("web")).unwrap());
        }
        assert_eq!(callers.member(address(99), &id("web")).unwrap_err(), "too_many_of_identity");
        for _ in 0..20 {
            members.push(callers.member(address(99), &id("api")).unwrap());
        }
        assert_eq!((callers.inside(), callers.would_admit(address(99))), (80, Err("too_many_connections")));
        members.truncate(0);
        for name in ["a", "b", "c", "d"] {
            assert_eq!(callers.would_admit(address(7)), Ok(()));
            members.extend((0..10).map(|_| callers.member(address(7), &id(name)).unwrap()));
        }
        assert_eq!(callers.would_admit(address(7)), Err("too_many_of_address"));
        assert_eq!(callers.would_admit(address(8)), Ok(()));
        drop((members, strangers));
        assert_eq!(callers.inside(), 0);
    }
}
