//! How many of one kind may be in at once, where nobody may fill a room alone.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A bound for everybody, and a smaller one for each.
#[derive(Debug)]
pub struct Shares<K>(Arc<Inner<K>>);

#[derive(Debug)]
struct Inner<K> {
    most: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// Why nobody more gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are too many.
    All,
    /// There are too many of this one.
    Share,
}

/// Counts as one who is in.
#[derive(Debug)]
pub struct Share<K: Eq + Hash> {
    shares: Shares<K>,
    of: K,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// At most `most` at once, and at most `each` of one.
    pub fn new(most: usize, each: usize) -> Self {
        Self(Arc::new(Inner { most, each, taken: Mutex::new(Taken { all: 0, by: HashMap::new() }) }))
    }

    /// Lets one more of `of` in.
    pub fn enter(&self, of: &K) -> Result<Share<K>, Full> {
        let mut taken = self.taken();
        self.fits(&taken, of)?;
        taken.all += 1;
        match taken.by.get_mut(of) {
            Some(count) => *count += 1,
            None => drop(taken.by.insert(of.clone(), 1)),
        }
        Ok(Share { shares: self.clone(), of: of.clone() })
    }

    /// Whether one more of `of` would be let in now.
    pub fn has_room(&self, of: &K) -> Result<(), Full> {
        self.fits(&self.taken(), of)
    }

    fn fits(&self, taken: &Taken<K>, of: &K) -> Result<(), Full> {
        if taken.all >= self.0.most {
            return Err(Full::All);
        }
        if taken.by.get(of).is_some_and(|&count| count >= self.0.each) {
            return Err(Full::Share);
        }
        Ok(())
    }
}

impl<K> Shares<K> {
    /// How many are in.
    pub fn inside(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.all -= 1;
        if let Some(count) = taken.by.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.by.remove(&self.of);
            }
        }
    }
}

/// Who shares with whom, of those who call from `address`: with IPv6, one machine has a whole network (RFC 4291 §2.5.4).
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_fills_a_room_alone() {
        let shares = Shares::new(3, 2);
        let (one, two) = (shares.enter(&"a").unwrap(), shares.enter(&"a").unwrap());
        assert_eq!(shares.enter(&"a").unwrap_err(), Full::Share);
        let other = shares.enter(&"b").unwrap();
        assert_eq!(shares.has_room(&"c"), Err(Full::All));
        drop(one);
        assert_eq!(shares.has_room(&"a"), Ok(()));
        drop((two, other));
        assert_eq!((shares.inside(), shares.taken().by.len()), (0, 0), "nobody is remembered who has left");
    }

    #[test]
    fn a_machine_is_one_however_many_addresses_it_has() {
        let cases = [
            ("10.0.0.1", "10.0.0.2", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ];
        for (one, other, together) in cases {
            let [a, b] = [one, other].map(|text| neighbourhood(text.parse().unwrap()));
            assert_eq!(a == b, together, "{one} and {other}");
        }
    }
}
