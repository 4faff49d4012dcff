//! The settings: name, default, meaning. Read once, from whatever is handed in, and passed on as values.

mod forward;

pub use forward::Forward;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::{
    control::xds::decode::Limits,
    host::{
        program::{AppPort, Exposed},
        service_links::is_service_link,
        users::Wish,
    },
};

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where identity, last configuration and addresses are kept.
    pub state_dir: PathBuf,
    /// The file with the join token.
    pub join_token_file: Option<PathBuf>,
    /// PEM of the mesh's trust anchors, or the name of a file that holds it.
    pub trust_anchors: Option<String>,
    /// `host:port` of the Enrolment service.
    pub join_addr: String,
    /// `host:port` of everything else.
    pub xds_addr: String,
    /// Where the program listens. Nowhere: it only calls.
    pub app_ports: Vec<AppPort>,
    /// What is done about a program that can be called past its sidecar.
    pub exposed_program: Exposed,
    /// Where callers of the first of these are listened to; those of each further one at the next port.
    pub inbound_listen: SocketAddr,
    /// The IP that callers are told.
    pub advertise_address: IpAddr,
    /// Where the program's calls are listened to.
    pub outbound_listen: SocketAddr,
    /// Ports of loopback, each of which leads to one service.
    pub forward: Vec<Forward>,
    /// Whose calls are taken on all of these.
    pub local_users: Wish,
    /// Where people look.
    pub admin_listen: SocketAddr,
    /// How long to wait for identity and first configuration.
    pub start_timeout: Duration,
    /// How long ending may take.
    pub drain_timeout: Duration,
    /// How much is logged.
    pub log: tracing::Level,
    /// What one resource may hold.
    pub limits: Limits,
    /// How many connections each listener takes.
    pub max_connections: usize,
    /// How many requests may be in flight in each direction.
    pub max_requests: usize,
    /// How much memory the process may have, in bytes: half of it for bodies that are on their way.
    pub max_memory: u64,
}

/// One setting, for `--help`.
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What holds without it; empty: nothing does.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    setting("SLUICE_STATE_DIR", "", "directory for identity, last configuration and addresses.json (required)"),
    setting("SLUICE_JOIN_TOKEN_FILE", "", "file with the join token; deleted once the token is spent"),
    setting("SLUICE_TRUST_ANCHORS", "", "PEM of the mesh's trust anchors, or a file with it; not needed once joined"),
    setting("SLUICE_JOIN_ADDR", "127.0.0.1:8445", "where the control plane takes newcomers"),
    setting("SLUICE_XDS_ADDR", "127.0.0.1:8444", "where the control plane serves members"),
    setting(
        "SLUICE_APP_PORT",
        "",
        "ports of the program on 127.0.0.1 or [::1], as 9001 or http=9001,metrics=9102; without it, the program only calls",
    ),
    setting("SLUICE_EXPOSED_PROGRAM", "warn", "warn, or refuse to call a program that others reach past its sidecar"),
    setting(
        "SLUICE_INBOUND_LISTEN",
        "127.0.0.1:0",
        "where callers of the first of these are listened to; those of each further one at the next port, or any if it is 0",
    ),
    setting("SLUICE_ADVERTISE_ADDRESS", "", "the IP that callers are told; without it, that of SLUICE_INBOUND_LISTEN"),
    setting("SLUICE_OUTBOUND_LISTEN", "127.0.0.1:0", "where the program's calls are listened to; loopback only"),
    setting(
        "SLUICE_FORWARD",
        "",
        "ports of loopback that lead to services of TCP or TLS, as 15432=db:5432,16379=cache.shop:6379",
    ),
    setting("SLUICE_ADMIN_LISTEN", "127.0.0.1:0", "where /livez, /readyz, /config and /metrics are; loopback only"),
    setting("SLUICE_LOCAL_USERS", "", "whose calls these take: any, or own and user ids, like own,1000"),
    setting("SLUICE_START_TIMEOUT", "60s", "how long to wait for identity and first configuration"),
    setting("SLUICE_DRAIN_TIMEOUT", "30s", "how long ending may take"),
    setting("SLUICE_LOG", "info", "error, warn, info, debug or trace"),
    setting("SLUICE_MAX_RULES", "10000", "authorization rules that a listener may hold"),
    setting("SLUICE_MAX_ROUTES", "1000", "virtual hosts, and routes of each, that a route table may hold"),
    setting("SLUICE_MAX_CLUSTERS_PER_ROUTE", "100", "backends that a split may have"),
    setting("SLUICE_MAX_ENDPOINTS", "10000", "endpoints that a backend may have"),
    setting(
        "SLUICE_MAX_CONNECTIONS",
        "10000",
        "connections that each listener takes, a quarter of them without identity; less, if files run short",
    ),
    setting("SLUICE_MAX_REQUESTS", "10000", "requests in flight in each direction, half of them of one caller"),
    setting(
        "SLUICE_MAX_MEMORY",
        "256Mi",
        "memory of the process; half of it is for bodies on their way, and what nobody reads of them is given up",
    ),
];

/// What is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    name: String,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

impl Settings {
    /// Reads the variables that begin with `SLUICE_`; the others are none of ours, nor are those of a Service of that name.
    /// Gives all faults at once.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let is_ours = |name: &str, value: &str| name.starts_with("SLUICE_") && !is_service_link(name, value);
        let ours = variables.into_iter().filter(|(name, value)| is_ours(name, value));
        let mut reader = Reader { values: ours.collect(), faults: Vec::new() };
        let known = |name: &String| SETTINGS.iter().any(|setting| setting.name == name);
        let unknown: Vec<String> = reader.values.keys().filter(|name| !known(name)).cloned().collect();
        for name in unknown {
            reader.fault(&name, "there is no such setting");
        }
        let inbound_listen: SocketAddr = reader.required("SLUICE_INBOUND_LISTEN", "an address like 127.0.0.1:0");
        let advertised: Option<IpAddr> = reader.optional("SLUICE_ADVERTISE_ADDRESS", "an IP address");
        if advertised.unwrap_or(inbound_listen.ip()).is_unspecified() {
            reader.fault("SLUICE_ADVERTISE_ADDRESS", "is needed, for no caller can reach 0.0.0.0 or [::]");
        }
        let settings = Self {
            state_dir: reader.required::<PathBuf>("SLUICE_STATE_DIR", "a directory"),
            join_token_file: reader.optional("SLUICE_JOIN_TOKEN_FILE", "a file"),
            trust_anchors: reader.optional("SLUICE_TRUST_ANCHORS", "PEM"),
            join_addr: reader.host_and_port("SLUICE_JOIN_ADDR"),
            xds_addr: reader.host_and_port("SLUICE_XDS_ADDR"),
            app_ports: reader.app_ports("SLUICE_APP_PORT"),
            exposed_program: reader.exposed("SLUICE_EXPOSED_PROGRAM"),
            inbound_listen,
            advertise_address: advertised.unwrap_or(inbound_listen.ip()),
            outbound_listen: reader.loopback("SLUICE_OUTBOUND_LISTEN"),
            forward: reader.forward("SLUICE_FORWARD"),
            admin_listen: reader.loopback("SLUICE_ADMIN_LISTEN"),
            local_users: reader.optional("SLUICE_LOCAL_USERS", "any, own or user ids").unwrap_or(Wish::Unsaid),
            start_timeout: reader.duration("SLUICE_START_TIMEOUT"),
            drain_timeout: reader.duration("SLUICE_DRAIN_TIMEOUT"),
            log: reader.log("SLUICE_LOG"),
            limits: Limits {
                rules: reader.count("SLUICE_MAX_RULES"),
                routes: reader.count("SLUICE_MAX_ROUTES"),
                clusters_per_route: reader.count("SLUICE_MAX_CLUSTERS_PER_ROUTE"),
                endpoints: reader.count("SLUICE_MAX_ENDPOINTS"),
            },
            max_connections: reader.count("SLUICE_MAX_CONNECTIONS"),
            max_requests: reader.count("SLUICE_MAX_REQUESTS"),
            max_memory: reader.bytes("SLUICE_MAX_MEMORY"),
        };
        let room = usize::from(u16::MAX - settings.inbound_listen.port()) + 1;
        if settings.inbound_listen.port() != 0 && room < settings.app_ports.len() {
            reader.fault("SLUICE_INBOUND_LISTEN", "leaves no ports for all of SLUICE_APP_PORT");
        }
        if reader.faults.is_empty() { Ok(settings) } else { Err(reader.faults) }
    }
}

/// Takes values out and gathers what is wrong with them.
struct Reader {
    values: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, name: &str, what: &str) {
        self.faults.push(Fault { name: name.to_owned(), what: what.to_owned() });
    }

    /// What is set, or else the default. An empty value is none.
    fn text(&self, name: &str) -> String {
        let set = self.values.get(name).filter(|value| !value.is_empty());
        let default = || SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default.to_owned());
        set.cloned().or_else(default).unwrap_or_default()
    }

    fn optional<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(name, &format!("{text:?} is not {what}"));
        }
        value
    }

    /// A value that must be there. When it is not, the fault is noted and a stand-in given, which nobody will use.
    fn required<T: FromStr + StandIn>(&mut self, name: &str, what: &str) -> T {
        if self.text(name).is_empty() {
            self.fault(name, &format!("is required: {what}"));
        }
        self.optional(name, what).unwrap_or_else(T::stand_in)
    }

    fn loopback(&mut self, name: &str) -> SocketAddr {
        let address: SocketAddr = self.required(name, "an address like 127.0.0.1:0");
        if !address.ip().is_loopback() {
            self.fault(name, "must be a loopback address: whoever reaches it speaks for this workload");
        }
        address
    }

    fn app_ports(&mut self, name: &str) -> Vec<AppPort> {
        let text = self.text(name);
        if text.is_empty() {
            return Vec::new();
        }
        AppPort::read_all(&text).unwrap_or_else(|what| {
            self.fault(name, &format!("{text:?} {what}"));
            Vec::new()
        })
    }

    fn forward(&mut self, name: &str) -> Vec<Forward> {
        let text = self.text(name);
        if text.is_empty() {
            return Vec::new();
        }
        Forward::read_all(&text).unwrap_or_else(|what| {
            self.fault(name, &what);
            Vec::new()
        })
    }

    fn count(&mut self, name: &str) -> usize {
        let count = self.required(name, "a whole number");
        if count == 0 {
            self.fault(name, "must be at least 1");
        }
        count
    }

    fn host_and_port(&mut self, name: &str) -> String {
        let text = self.text(name);
        let sound = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !sound {
            self.fault(name, &format!("{text:?} is not host:port"));
        }
        text
    }

    fn duration(&mut self, name: &str) -> Duration {
        let text = self.text(name);
        parse_duration(&text).unwrap_or_else(|| {
            self.fault(name, &format!("{text:?} is not a duration like 500ms, 30s or 5m"));
            Duration::ZERO
        })
    }

    fn bytes(&mut self, name: &str) -> u64 {
        let text = self.text(name);
        parse_bytes(&text).unwrap_or_else(|| {
            self.fault(name, &format!("{text:?} is not a size like 64Mi or 1Gi"));
            u64::MAX
        })
    }

    fn exposed(&mut self, name: &str) -> Exposed {
        match self.text(name).as_str() {
            "warn" => Exposed::Warn,
            "refuse" => Exposed::Refuse,
            text => {
                self.fault(name, &format!("{text:?} is not one of warn, refuse"));
                Exposed::Refuse
            }
        }
    }

    fn log(&mut self, name: &str) -> tracing::Level {
        let text = self.text(name);
        match text.as_str() {
            "error" => tracing::Level::ERROR,
            "warn" => tracing::Level::WARN,
            "info" => tracing::Level::INFO,
            "debug" => tracing::Level::DEBUG,
            "trace" => tracing::Level::TRACE,
            _ => {
                self.fault(name, &format!("{text:?} is not one of error, warn, info, debug, trace"));
                tracing::Level::INFO
            }
        }
    }
}

/// What stands in the place of a value that is not there, when that has been noted as a fault.
trait StandIn {
    fn stand_in() -> Self;
}

impl StandIn for SocketAddr {
    fn stand_in() -> Self {
        (Ipv4Addr::LOCALHOST, 0).into()
    }
}

impl StandIn for PathBuf {
    fn stand_in() -> Self {
        Self::new()
    }
}

impl StandIn for usize {
    fn stand_in() -> Self {
        1
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(milliseconds).map(Duration::from_millis)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (digits, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    // As a number may have a sign for Rust.
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(*unit).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests;
