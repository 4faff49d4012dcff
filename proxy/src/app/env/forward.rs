//! Ports of loopback that lead to one service each: for programs that know nothing of proxies, as clients of databases do.

use crate::config::authority::canonical;

/// How many there may be.
const MOST: usize = 64;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where it listens.
    pub port: u16,
    /// What the service is called, as a caller in the sidecar's own namespace would: `db:5432`, `db.shop:5432`.
    pub to: String,
}

impl Forward {
    /// Reads `15432=db:5432,16379=cache.shop:6379`. What is wrong, in words that begin with the item.
    pub fn read_all(text: &str) -> Result<Vec<Self>, String> {
        let all = text.split(',').map(Self::read).collect::<Result<Vec<_>, _>>()?;
        if all.len() > MOST {
            return Err(format!("leads to {} services, and {MOST} are the most", all.len()));
        }
        for (at, one) in all.iter().enumerate() {
            if all[..at].iter().any(|other| other.port == one.port) {
                return Err(format!("\"{}={}\" says port {} once more", one.port, one.to, one.port));
            }
        }
        Ok(all)
    }

    fn read(item: &str) -> Result<Self, String> {
        let (port, to) = item.split_once('=').ok_or_else(|| format!("{item:?} is not like 15432=db:5432"))?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| format!("{item:?} does not begin with a port from 1 to 65535"))?;
        // Of which namespace a bare name is, is known once it is known who we are.
        match (canonical(to, "own"), to.contains(':')) {
            (Some(_), true) => Ok(Self { port, to: to.to_owned() }),
            (Some(_), false) => Err(format!("{item:?} names no port of the service, as 15432=db:5432 does")),
            (None, _) => Err(format!("{item:?} names no service, as db:5432 or db.shop:5432 does")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lead_to_services() {
        let forward = |port, to: &str| Forward { port, to: to.into() };
        let cases: [(&str, Result<Vec<Forward>, &str>); 8] = [
            ("15432=db:5432", Ok(vec![forward(15_432, "db:5432")])),
            ("1=db:5432,2=cache.shop:6379", Ok(vec![forward(1, "db:5432"), forward(2, "cache.shop:6379")])),
            ("db:5432", Err("\"db:5432\" is not like 15432=db:5432")),
            ("0=db:5432", Err("\"0=db:5432\" does not begin with a port from 1 to 65535")),
            ("1=db", Err("\"1=db\" names no port of the service, as 15432=db:5432 does")),
            ("1=10.0.0.1:5432", Err("\"1=10.0.0.1:5432\" names no service, as db:5432 or db.shop:5432 does")),
            ("1=db:5432,", Err("\"\" is not like 15432=db:5432")),
            ("1=db:5432,1=cache:6379", Err("\"1=cache:6379\" says port 1 once more")),
        ];
        for (text, expected) in cases {
            assert_eq!(Forward::read_all(text), expected.map_err(str::to_owned), "{text}");
        }
        let many = (1..=65).map(|port: u16| format!("{port}=db:5432")).collect::<Vec<_>>().join(",");
        assert_eq!(Forward::read_all(&many), Err("leads to 65 services, and 64 are the most".into()));
    }
}
