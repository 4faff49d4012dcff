//! Where the program beside the sidecar is found, and what is wrong with it, in words.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

/// The program, as far as its sidecar knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Where it is called: where it was last found.
    pub address: SocketAddr,
    /// Why it is not called; none: it is.
    pub fault: Option<String>,
    /// It is there, and is not to be called all the same.
    pub refused: bool,
    /// Where else it takes calls: whoever reaches these passes by the sidecar.
    #[serde(rename = "openAt")]
    pub open_at: Vec<SocketAddr>,
}

/// What is done about a program that can be called past its sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// It is said.
    Warn,
    /// It is not called.
    Refuse,
}

impl Program {
    /// One that nobody has looked for yet.
    pub fn at(port: u16) -> Self {
        let [address, _] = places(port);
        Self { address, fault: Some("it was not looked for yet".into()), refused: false, open_at: Vec::new() }
    }
}

/// Where a program may listen that only this machine is to reach, in the order in which it is looked for.
pub fn places(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// Of the sockets that listen, those that others than this machine reach.
pub fn open_to_others(listening: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let others = |address: &&SocketAddr| address.port() == port && !address.ip().to_canonical().is_loopback();
    listening.iter().filter(others).copied().collect()
}

/// Why a program that is found is not called, if it is not.
pub fn refusal(open_at: &[SocketAddr], exposed: Exposed) -> Option<String> {
    let [first, ..] = open_at else { return None };
    (exposed == Exposed::Refuse).then(|| {
        format!(
            "it listens on {first}, where it is called past its sidecar; let it listen on 127.0.0.1 (SLUICE_EXPOSED_PROGRAM=refuse)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_out_of_the_reach_of_others() {
        let cases = [
            ("127.0.0.1:80", false),
            ("127.0.0.9:80", false),
            ("[::1]:80", false),
            ("[::ffff:127.0.0.1]:80", false),
            ("0.0.0.0:80", true),
            ("[::]:80", true),
            ("10.0.0.1:80", true),
            ("0.0.0.0:81", false),
        ];
        for (address, open) in cases {
            let address = address.parse().unwrap();
            let others = open_to_others(&[address], 80);
            assert_eq!(!others.is_empty(), open, "{address}");
            assert_eq!(refusal(&others, Exposed::Refuse).is_some(), open, "{address}");
            assert_eq!(refusal(&others, Exposed::Warn), None, "{address}");
        }
    }
}
