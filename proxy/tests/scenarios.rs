//! The scenarios of `test/scenarios`: what the control plane compiled is what this proxy must decode, and what it then
//! does with the calls of `traffic.yaml` is what they expect.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use envoy_types::pb::google::protobuf::Any;
use serde::Deserialize;
use sluice_proxy::{
    base::spiffe::SpiffeId,
    config::{
        Answer, Config, Snapshot,
        cluster::Security,
        decide::{Decision, Program, To, inbound, outbound},
        inbound::{Entrance, Judgement, Verdict},
        snapshot::backend::Known,
        split::Turn,
        turns::Turns,
    },
    control::xds::{
        decode::{Decoded, Limits, decode},
        kind::Kind,
    },
    message::{Body, Request, head::Head},
};

#[derive(Deserialize)]
struct Golden {
    resources: Vec<GoldenResource>,
}

#[derive(Deserialize)]
struct GoldenResource {
    #[serde(rename = "type")]
    type_url: String,
    name: String,
    bytes: String,
}

/// A row of traffic.yaml; `test/support/scenarios.ts` says what it means.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    it: String,
    from: String,
    to: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default = "root")]
    path: String,
    #[serde(default = "once")]
    times: u64,
    expect: Expectation,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expectation {
    #[serde(default)]
    reaches: BTreeMap<String, u64>,
    #[serde(default)]
    answers: BTreeMap<u16, u64>,
    rule: Option<String>,
    closed_by: Option<Vec<String>>,
    audit: Option<String>,
    connection: Option<String>,
}

fn get() -> String {
    "GET".into()
}
fn root() -> String {
    "/".into()
}
fn once() -> u64 {
    1
}

#[derive(Deserialize)]
struct Document {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Default, Deserialize)]
struct Spec {
    address: Option<IpAddr>,
    // Those of a service are none of its business.
    #[serde(default)]
    ports: Vec<Port>,
    identity: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    port: u16,
    sidecar_port: Option<u16>,
}

struct Workload {
    address: Option<IpAddr>,
    ports: Vec<Port>,
    identity: Option<SpiffeId>,
}

/// A port of a workload, by its `namespace/name`.
#[derive(Clone, Copy)]
struct Place<'a> {
    workload: &'a str,
    port: u16,
}

/// Where all calls come from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A whole mesh, as seen by everybody in it at once.
struct World {
    config: Snapshot,
    /// By `namespace/name:port`.
    doors: BTreeMap<String, Entrance>,
    workloads: BTreeMap<String, Workload>,
}

#[test]
fn every_call_comes_to_what_its_scenario_says() {
    let mut failures = Vec::new();
    let mut calls = 0;
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let world = World::read(&scenario);
        let traffic = fs::read_to_string(scenario.join("traffic.yaml")).unwrap();
        let rows: Vec<Call> = serde_saphyr::from_str(&traffic).unwrap_or_else(|error| panic!("{name}: {error}"));
        for row in rows {
            calls += 1;
            let came = world.make(&row);
            if let Some(difference) = row.expect.difference(&came) {
                failures.push(format!("{name}: it {}: {difference}\n  in {came:?}", row.it));
            }
        }
    }
    assert!(calls > 40, "only {calls} calls were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test/scenarios");
    let mut all: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

impl World {
    fn read(scenario: &Path) -> Self {
        let golden = fs::read_to_string(scenario.join("snapshot.golden.json")).unwrap();
        let golden: Golden = serde_json::from_str(&golden).unwrap();
        let mut config = Config::default();
        let mut world = Self { config: Snapshot::default(), doors: BTreeMap::new(), workloads: BTreeMap::new() };
        for GoldenResource { type_url, name, bytes } in golden.resources {
            let kind = Kind::of_type_url(&type_url).unwrap();
            let any = Any { type_url, value: BASE64_STANDARD.decode(bytes).unwrap() };
            let decoded = decode(kind, &name, &any, &Limits::default());
            world.hold(&mut config, &name, decoded.unwrap_or_else(|fault| panic!("{name}: {fault}")));
        }
        // All that there is has been told: what is unknown does not exist.
        let mut named: Vec<Arc<str>> = Vec::new();
        for answer in config.routes.values() {
            if let Answer::Held(table) = answer {
                named.extend(table.backends.iter().cloned());
            }
        }
        for answer in config.services.values() {
            if let Answer::Held(service) = answer {
                named.extend(service.backends().iter().cloned());
            }
        }
        for backend in named {
            config.clusters.entry(backend).or_insert(Answer::Absent);
        }
        world.config = Snapshot::of(Arc::new(config), &Snapshot::default(), || 0);
        let mesh = fs::read_to_string(scenario.join("mesh.yaml")).unwrap();
        let documents: Vec<Document> = serde_saphyr::from_multiple(&mesh).unwrap();
        for Document { metadata, spec, .. } in documents.into_iter().filter(|document| document.kind == "Workload") {
            let workload = Workload {
                address: spec.address,
                ports: spec.ports,
                identity: spec.identity.map(|text| SpiffeId::parse(&text).unwrap()),
            };
            world.workloads.insert(format!("{}/{}", metadata.namespace, metadata.name), workload);
        }
        world
    }

    fn hold(&mut self, config: &mut Config, name: &str, resource: Decoded) {
        match resource {
            Decoded::Inbound(door) => {
                self.doors.insert(name.trim_start_matches("inbound/").to_owned(), door);
            }
            Decoded::Service(service) => drop(config.services.insert(name.into(), Answer::Held(service))),
            Decoded::Routes(table) => drop(config.routes.insert(name.into(), Answer::Held(table))),
            Decoded::Cluster(cluster) => drop(config.clusters.insert(name.into(), Answer::Held(cluster))),
            Decoded::Endpoints(endpoints) => drop(config.endpoints.insert(name.into(), Answer::Held(endpoints))),
        }
    }

    /// Makes the calls of a row, with counters that begin at 0.
    fn make(&self, call: &Call) -> Expectation {
        let mut came = Expectation::default();
        let mut turns: BTreeMap<String, u64> = BTreeMap::new();
        for turn in 0..call.times {
            let caller = self.workloads.get(&call.from).and_then(|workload| workload.identity.clone());
            match call.service() {
                None => {
                    let place = self.named(call.to.strip_prefix("tcp:").unwrap_or(&call.to));
                    self.arrive(place, caller.as_ref(), call, &mut came);
                }
                Some(authority) => {
                    let namespace = call.from.split('/').next().unwrap();
                    match self.send(call, authority, namespace, turn, &mut turns) {
                        Ok(place) => self.arrive(place, caller.as_ref(), call, &mut came),
                        Err(status) => *came.answers.entry(status).or_default() += 1,
                    }
                }
            }
        }
        came
    }

    /// What the caller's sidecar does: it finds a workload, or answers itself.
    fn send(
        &self,
        call: &Call,
        called: &str,
        namespace: &str,
        turn: u64,
        turns: &mut BTreeMap<String, u64>,
    ) -> Result<Place<'_>, u16> {
        let request = call.request(called);
        let head = Head::of(&request);
        let status = |refusal: outbound::Refusal<'_>| refusal.reason().status().as_u16();
        let authority = outbound::called(&head, namespace).map_err(status)?;
        let authority = authority.map_err(|_| status(outbound::Refusal::NoService))?;
        let found = self.config.service(&authority).or(Some(&Answer::Absent));
        let draw = |_: &Arc<Turns>| Turn { number: turn, seed: 0 };
        let decision =
            if call.is_of_bytes() { outbound::connect(found, draw) } else { outbound::decide(found, &head, draw) };
        let way = match decision {
            Decision::Go(way) => way,
            Decision::Answer(refusal) => return Err(status(refusal)),
            Decision::Untold => panic!("{authority} leads to what was not told"),
        };
        let To::Backend(backend) = way.to else { panic!("{:?} is no backend", way.to) };
        let Known::Standing(standing) = &backend.known else { panic!("{} stands nowhere", backend.name) };
        let next = turns.entry(backend.name.to_string()).or_default();
        let count = u64::try_from(standing.endpoints.len()).unwrap();
        let endpoint = &standing.endpoints[usize::try_from(next.checked_rem(count).ok_or(503_u16)?).unwrap()];
        *next += 1;
        let (name, workload, port) = self.at(endpoint.address);
        match (&endpoint.identity, &workload.identity) {
            (Security::MutualTls(names), Some(identity)) => assert!(names.contains(identity), "{name} proves another"),
            (Security::Plaintext, None) => {}
            other => panic!("{name} is called in another way than it listens: {other:?}"),
        }
        Ok(Place { workload: name, port })
    }

    /// Who is reached there, and at which port.
    fn at(&self, address: SocketAddr) -> (&str, &Workload, u16) {
        let is_there = |port: &&Port| port.sidecar_port.unwrap_or(port.port) == address.port();
        let here = self.workloads.iter().filter(|(_, other)| other.address == Some(address.ip()));
        let mut found =
            here.filter_map(|(name, other)| Some((&**name, other, other.ports.iter().find(is_there)?.port)));
        found.next().unwrap_or_else(|| panic!("nobody is reached at {address}"))
    }

    /// What a row calls directly: `namespace/name`, with `:port` if it has several.
    fn named<'a>(&'a self, to: &'a str) -> Place<'a> {
        match to.split_once(':') {
            Some((workload, port)) => Place { workload, port: port.parse().unwrap() },
            None => Place { workload: to, port: self.workloads[to].ports[0].port },
        }
    }

    /// What the called workload's sidecar does, if there is one.
    fn arrive(&self, place: Place<'_>, caller: Option<&SpiffeId>, call: &Call, came: &mut Expectation) {
        let Place { workload, port } = place;
        let whole = format!("{workload}:{port}");
        let reached = if self.workloads[workload].ports.len() > 1 { &whole } else { workload };
        let Some(door) = self.doors.get(&whole) else {
            *came.reaches.entry(reached.to_owned()).or_default() += 1;
            return;
        };
        let judgement = match door {
            Entrance::Bytes(door) if call.is_of_bytes() => match door.door(caller.is_some()) {
                Some(door) => Some(door.judge(caller, HERE)),
                None => return came.connection = Some("refused".into()),
            },
            Entrance::Requests(door) if !call.is_of_bytes() => {
                if door.door(caller.is_some()).is_none() {
                    return came.connection = Some("refused".into());
                }
                let request = call.request("program");
                let program = Program { of: workload.into(), address: (HERE, 1).into() };
                let asker = inbound::Caller { peer: caller, remote: HERE };
                let decided = inbound::decide(Some(door), &Head::of(&request), asker, Some(program));
                let status = match decided.decision {
                    Decision::Go(_) => None,
                    Decision::Answer(refusal) => Some(refusal.reason().status().as_u16()),
                    Decision::Untold => panic!("the door is known"),
                };
                if let Some(status) = status {
                    *came.answers.entry(status).or_default() += 1;
                }
                decided.judgement
            }
            _ => panic!("{whole} carries something else"),
        };
        let Some(Judgement { verdict, audit }) = judgement else { return };
        came.audit = audit.map(|verdict| if verdict.passes() { "allowed".into() } else { "denied".into() });
        match verdict {
            Verdict::Allowed(rule) => {
                came.rule = Some(rule.to_string());
                *came.reaches.entry(reached.to_owned()).or_default() += 1;
            }
            Verdict::Denied(rule) => came.rule = Some(rule.to_string()),
            Verdict::NoRule { closed_by } => came.closed_by = Some(closed_by.iter().map(ToString::to_string).collect()),
        }
        if call.is_of_bytes() && !verdict.passes() {
            came.connection = Some("cut".into());
        }
    }
}

impl Call {
    /// Whether it is a connection of bytes, rather than a request.
    fn is_of_bytes(&self) -> bool {
        self.to.starts_with("tcp:")
    }

    /// The service that it calls by name; none: it calls a workload directly.
    fn service(&self) -> Option<&str> {
        self.to.strip_prefix("http://").or_else(|| self.to.strip_prefix("tcp://"))
    }

    /// The request that it makes, of the program behind `host`.
    fn request(&self, host: &str) -> Request {
        let request = http::Request::builder().method(&*self.method).uri(&self.path).header("host", host);
        request.body(Body::default()).unwrap()
    }
}

impl Expectation {
    /// What came otherwise than expected; what is not spoken of may be anything, but for who answered.
    fn difference(&self, came: &Self) -> Option<&'static str> {
        let spoken = |expected: &Option<String>, came: &Option<String>| expected.is_none() || expected == came;
        if self.reaches != came.reaches {
            return Some("reaches");
        }
        if self.answers != came.answers {
            return Some("answers");
        }
        if self.connection != came.connection {
            return Some("connection");
        }
        if !spoken(&self.rule, &came.rule) {
            return Some("rule");
        }
        if !spoken(&self.audit, &came.audit) {
            return Some("audit");
        }
        (self.closed_by.is_some() && self.closed_by != came.closed_by).then_some("closedBy")
    }
}
