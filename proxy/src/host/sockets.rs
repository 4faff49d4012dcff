//! What the system tells of sockets: which of them listen, and whose one is.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with},
    process::Uid,
};

/// The state of a socket that listens, as the tables have it (`TCP_LISTEN`).
const LISTEN: &str = "0A";
const LISTENS: u8 = 0x0a;

/// Where somebody listens, of TCP and in the network that this process sees.
pub fn listening() -> io::Result<Vec<SocketAddr>> {
    let mut all = listening_in(&fs::read_to_string("/proc/net/tcp")?);
    // A system without IPv6 has no such table.
    all.extend(listening_in(&fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    Ok(all)
}

/// Where somebody listens, by a table of the system.
fn listening_in(table: &str) -> Vec<SocketAddr> {
    let rows = table.lines().skip(1).filter_map(|row| {
        let mut columns = row.split_ascii_whitespace().skip(1);
        let (local, _remote, state) = (columns.next()?, columns.next()?, columns.next()?);
        (state == LISTEN).then(|| address(local))?
    });
    rows.collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: words as they are in memory, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0; 16];
            for (index, four) in octets.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(8 * index)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some((ip, port).into())
}

/// Asks for one socket by its addresses, and answers with one message (`sock_diag(7)`).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const HEADER: usize = 16;
/// Where in the answer the state is, the owner, and the number of the file.
const STATE: usize = HEADER + 1;
const OWNER: usize = HEADER + 64;
const INODE: usize = OWNER + 4;

/// Who holds the connected socket whose own address is `local` and whose other end is `remote`. `None`: nobody any more.
pub fn owner(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Uid>> {
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&kernel, &question(local, remote), SendFlags::empty())?;
    let mut answer = [0; 512];
    // The answer is there when the question has been sent.
    let (length, _) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    read(&answer[..length])
}

fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let (local_ip, remote_ip) = (local.ip().to_canonical(), remote.ip().to_canonical());
    let family = if local_ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => [&v4.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let [low, _] = family.as_raw().to_le_bytes();
    // Of TCP, nothing beside what is always told, in whatever state.
    let body = [
        &[low, 6, 0, 0][..],
        &u32::MAX.to_ne_bytes(),
        &local.port().to_be_bytes(),
        &remote.port().to_be_bytes(),
        &octets(local_ip),
        &octets(remote_ip),
        // By no interface, and with no cookie.
        &[0; 4],
        &[0xff; 8],
    ]
    .concat();
    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let kind = [SOCK_DIAG_BY_FAMILY.to_ne_bytes(), NLM_F_REQUEST.to_ne_bytes()].concat();
    [&length.to_ne_bytes()[..], &kind, &[0; 8], &body].concat()
}

fn read(answer: &[u8]) -> io::Result<Option<Uid>> {
    let word = |at: usize| answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the system gave an answer of another form");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    if kind != Some(SOCK_DIAG_BY_FAMILY) {
        let code = word(HEADER).ok_or_else(malformed)?.cast_signed();
        let error = io::Error::from_raw_os_error(-code);
        return if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) };
    }
    // Without such a connection, the system tells of whoever listens there.
    if answer.get(STATE).copied() == Some(LISTENS) {
        return Ok(None);
    }
    let (owner, inode) = (word(OWNER).ok_or_else(malformed)?, word(INODE).ok_or_else(malformed)?);
    // A socket that nobody has open any more keeps its owner in new systems; old ones say that it is root's, and has no
    // number. So nobody becomes root by hanging up.
    Ok((inode != 0).then(|| Uid::from_raw(owner)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::process::getuid;

    use super::*;

    #[test]
    fn the_tables_of_the_system_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
            1: 00000000:0050 00000000:0000 0A 00000000:00000000\n\
            2: 0100007F:1F90 0100007F:C350 01 00000000:00000000\n\
            3: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0\n\
            4: nonsense\n";
        let expected = ["127.0.0.1:8080", "0.0.0.0:80", "[::1]:81"].map(|text| text.parse().unwrap());
        assert_eq!(listening_in(table), expected);
    }

    #[test]
    fn a_listener_is_found_and_a_connection_has_an_owner() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(place) else { continue };
            let here = listener.local_addr().unwrap();
            assert!(listening().unwrap().contains(&here), "{here}");
            let client = TcpStream::connect(here).unwrap();
            let there = client.local_addr().unwrap();
            assert_eq!(owner(there, here).unwrap(), Some(getuid()), "{here}");
            assert_eq!(owner(here, (here.ip(), 1).into()).unwrap(), None);
            let (server, _) = listener.accept().unwrap();
            drop(client);
            let owner = owner(there, here).unwrap();
            assert!(owner.is_none_or(|owner| owner == getuid()), "nobody becomes another by hanging up: {owner:?}");
            drop(server);
        }
    }
}
