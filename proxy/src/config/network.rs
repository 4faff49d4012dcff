//! Ranges of addresses (CIDR).

use std::{fmt, net::IpAddr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// How many bits count: at most 32 or 128.
    length: u8,
}

impl Network {
    /// The addresses that share their first `length` bits with `address`; `None` if it has not that many.
    pub fn new(address: IpAddr, length: u32) -> Option<Self> {
        let length = u8::try_from(length).ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (length <= longest).then_some(Self { first: address, length })
    }

    /// Whether `address` is one of them. An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.length);
                (u32::from(first) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.length);
                (u128::from(first) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_begins_alike() {
        let cases = [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("0.0.0.0", 0, "::1", false),
            ("10.0.0.0", 8, "::ffff:10.1.1.1", true),
            ("fd00::", 8, "fdff::1", true),
            ("fd00::", 8, "fe00::1", false),
            ("::", 0, "2001:db8::1", true),
        ];
        for (address, length, other, contained) in cases {
            let network = Network::new(address.parse().unwrap(), length).unwrap();
            assert_eq!(network.contains(other.parse().unwrap()), contained, "{other} in {network}");
        }
    }

    #[test]
    fn has_no_more_bits_than_an_address() {
        assert_eq!(Network::new("10.0.0.0".parse().unwrap(), 33), None);
        assert_eq!(Network::new("::".parse().unwrap(), 129), None);
        assert_eq!(Network::new("::".parse().unwrap(), 500), None);
    }
}
