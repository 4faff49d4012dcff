//! Looks at the first bytes of a connection as they pass, for whom the TLS inside of it is. Nobody waits for that.

use crate::identity::hello::{Hello, LONGEST};

/// The first bytes, as long as they may tell more.
#[derive(Debug, Default)]
pub struct Glance(Option<Vec<u8>>);

impl Glance {
    /// Looks, if `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self(wanted.then(Vec::new))
    }

    /// Looks at what comes next. Gives the name once it is known, if there is one; then nothing is looked at any more.
    pub fn at(&mut self, bytes: &[u8]) -> Option<String> {
        let seen = self.0.as_mut()?;
        seen.extend_from_slice(&bytes[..bytes.len().min(LONGEST - seen.len())]);
        match Hello::read(seen) {
            Hello::Begun if seen.len() < LONGEST => None,
            Hello::Said { name, .. } => {
                self.0 = None;
                name
            }
            Hello::Begun | Hello::Unreadable => {
                self.0 = None;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of TLS with a handshake that says hello to `a.b`, and nothing else.
    fn hello() -> Vec<u8> {
        let name = [0, 0, 0, 8, 0, 6, 0, 0, 3, b'a', b'.', b'b'];
        let rest = [0, 13, 0, 4, 0, 2, 4, 3];
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, u8::try_from(name.len() + rest.len()).unwrap()]);
        body.extend(name.iter().chain(&rest));
        let mut handshake = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
        handshake.extend(body);
        [vec![22, 3, 1, 0, u8::try_from(handshake.len()).unwrap()], handshake].concat()
    }

    #[test]
    fn the_name_is_told_once_however_the_bytes_come() {
        let hello = hello();
        for block in [1, 7, hello.len()] {
            let mut glance = Glance::new(true);
            let told: Vec<_> = hello.chunks(block).filter_map(|bytes| glance.at(bytes)).collect();
            assert_eq!(told, ["a.b"], "{block}");
            assert_eq!(glance.at(&hello), None);
        }
        assert_eq!(Glance::new(false).at(&hello), None);
    }

    #[test]
    fn what_is_no_tls_is_looked_at_no_longer() {
        let mut glance = Glance::new(true);
        assert_eq!(glance.at(b"GET / HTTP/1.1"), None);
        assert!(glance.0.is_none());
        let mut endless = Glance::new(true);
        let record = [vec![22, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xff], vec![0; LONGEST]].concat();
        assert!(record.chunks(1000).all(|bytes| endless.at(bytes).is_none()));
        assert!(endless.0.is_none());
    }
}
