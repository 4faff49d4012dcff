//! Where the program beside the sidecar is found, and what is wrong with it, in words.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

/// How many ports a program may be called at.
pub const MOST_PORTS: usize = 16;

/// A port that the program is called at, as its owners know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPort {
    /// What services may call it by; empty: it has no name.
    pub name: String,
    /// What the program listens on.
    pub port: u16,
}

impl AppPort {
    /// Reads `http=9001,9102`; none of them twice. What is wrong, in words that go on after the text.
    pub fn read_all(text: &str) -> Result<Vec<Self>, &'static str> {
        let ports = text.split(',').map(Self::read).collect::<Result<Vec<_>, _>>()?;
        let is_double = |(at, one): (usize, &Self)| {
            ports[..at].iter().any(|other| other.port == one.port || !one.name.is_empty() && other.name == one.name)
        };
        if ports.len() > MOST_PORTS {
            return Err("is more than 16 ports");
        }
        if ports.iter().enumerate().any(is_double) { Err("says a port or a name twice") } else { Ok(ports) }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let (name, port) = text.split_once('=').map_or((None, text), |(name, port)| (Some(name), port));
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or("is not ports like 9001 or http=9001,metrics=9102")?;
        if name.is_some_and(|name| !is_port_name(name)) {
            return Err("calls a port what none is called: at most 15 of a-z, 0-9 and single \"-\", with a letter");
        }
        Ok(Self { name: name.unwrap_or_default().into(), port })
    }
}

/// As the registry of services has them (RFC 6335 §5.1).
fn is_port_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 15
        && text.bytes().all(known)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.split('-').all(|part| !part.is_empty())
}

/// The program at one of its ports, as far as its sidecar knows.
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
    fn ports_are_read_with_their_names() {
        let port = |name: &str, port| AppPort { name: name.into(), port };
        let cases: [(&str, Result<Vec<AppPort>, &str>); 10] = [
            ("9001", Ok(vec![port("", 9001)])),
            ("http=9001,9102", Ok(vec![port("http", 9001), port("", 9102)])),
            ("none", Err("is not ports")),
            ("0", Err("is not ports")),
            ("9001,", Err("is not ports")),
            ("http=", Err("is not ports")),
            ("=9001", Err("what none is called")),
            ("HTTP=9001", Err("what none is called")),
            ("9001,http=9001", Err("twice")),
            ("a=1,a=2", Err("twice")),
        ];
        for (text, expected) in cases {
            match (AppPort::read_all(text), expected) {
                (Ok(ports), Ok(expected)) => assert_eq!(ports, expected, "{text}"),
                (Err(fault), Err(expected)) => assert!(fault.contains(expected), "{text}: {fault}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
        let many = (1..=17).map(|port: u16| port.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(AppPort::read_all(&many), Err("is more than 16 ports"));
    }

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
