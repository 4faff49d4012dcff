//! The stream, against a control plane on real sockets with mutual TLS.

use std::{path::Path, sync::Arc};

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use prost::Message;
use sluice_proxy::{
    base::published::Published,
    config::{
        Answer, Config, Snapshot,
        snapshot::service::{Action, Way},
    },
    control::{
        link,
        proto::{Health, Refusal, RefusedResource, ReportRequest, registration_client::RegistrationClient},
        xds::{
            client::{Client, Outlook},
            decode::Limits,
            disk::Copy,
            kind::Kind,
            mirror::Mirror,
        },
    },
    telemetry::metrics::Metrics,
};
use tokio::task::JoinSet;

use crate::support::{
    control_plane::{AdsStream, ControlPlane, How},
    eventually,
    pki::{Leaf, Pki, id},
    resources::{Door, Made, Speaks, cluster, endpoints, routes, service},
};

const CART: &str = "cart.shop:80";
const V2: &str = "cart-v2.shop:80";
const WEB: &str = "inbound/shop/web";

/// A client in this process, of the workload shop/web.
struct Listening {
    outlook: Arc<Outlook>,
    _tasks: JoinSet<()>,
}

impl Listening {
    fn to(control: &ControlPlane, pki: &Pki, directory: &Path) -> Self {
        let outlook = Arc::new(Outlook::default());
        let mirror = Mirror::new(&[WEB], Limits::default());
        let copy = Copy::within(directory);
        let client = Client::new("shop/web".into(), mirror, copy, outlook.clone(), Arc::new(Metrics::default()));
        let us = Arc::new(Published::new(pki.credentials("shop/web")));
        let (channel, connections) = link::channel(&control.members.to_string(), move || us.now().control_plane());
        let mut tasks = JoinSet::new();
        tasks.spawn(client.run(channel, connections));
        Self { outlook, _tasks: tasks }
    }

    fn config(&self) -> Arc<Snapshot> {
        self.outlook.config.now()
    }

    /// Where a call goes.
    fn route(&self) -> Option<String> {
        routed(&self.config())
    }
}

/// Where a call to cart goes, by shares.
fn routed(snapshot: &Snapshot) -> Option<String> {
    let Some(Answer::Held(service)) = snapshot.service(CART) else { return None };
    let Action::Forward { split, .. } = &service.route("/")?.action else { unreachable!() };
    Some(split.shares().map(|(backend, weight)| format!("{}={weight}", backend.name)).collect::<Vec<_>>().join(" "))
}

/// What nobody has read anything of before.
fn resolved(config: Arc<Config>) -> Snapshot {
    Snapshot::of(config, &Snapshot::default(), || 0)
}

/// Whether it is known where calls to cart go.
fn way(config: Arc<Config>) -> &'static str {
    match resolved(config).service(CART) {
        None => "untold",
        Some(Answer::Absent) => "absent",
        Some(Answer::Refused) => "refused",
        Some(Answer::Held(service)) => match &service.way {
            Way::Untold => "its routes are untold",
            Way::Refused => "its routes are refused",
            Way::Http(routes) if routes.is_empty() => "it has no routes",
            Way::Http(_) => "it has routes",
            Way::Bytes(_) => "it carries bytes",
        },
    }
}

struct Scene {
    pki: Arc<Pki>,
    control: ControlPlane,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let pki = Arc::new(Pki::new());
        let control = ControlPlane::start(&pki).await;
        Self { pki, control, directory: tempfile::tempdir().unwrap() }
    }

    fn listening(&self) -> Listening {
        Listening::to(&self.control, &self.pki, self.directory.path())
    }

    /// As a sidecar that has ended leaves its directory, with all about cart and its own listener.
    async fn leave_a_copy(&self) {
        let listening = self.listening();
        let mut stream = self.control.stream().await;
        stream.opening().await;
        teach_cart(&mut stream, &listening).await;
        stream.teach(Kind::Listener, &[&Door::to_members().made("shop/web")], &[]).await;
        let copy = Copy::within(self.directory.path());
        let whole = async || {
            let saved = copy.read().unwrap()?;
            saved.iter().map(|response| response.resources.len()).eq([1, 1, 2, 1]).then_some(())
        };
        eventually("the copy on disk", whole).await;
    }
}

fn backend(name: &str) -> [Made; 2] {
    [cluster(name, Speaks::Tls(&[id("shop/cart")])), endpoints(name, &["127.0.0.1:9101".parse().unwrap()])]
}

/// Subscriptions and unsubscriptions of a request.
fn wishes(request: &DeltaDiscoveryRequest) -> (Kind, Vec<&str>, Vec<&str>) {
    let kind = Kind::of_type_url(&request.type_url).unwrap();
    (
        kind,
        request.resource_names_subscribe.iter().map(String::as_str).collect(),
        request.resource_names_unsubscribe.iter().map(String::as_str).collect(),
    )
}

/// Teaches everything about cart, with its calls going to `cart.shop:80` alone.
async fn teach_cart(stream: &mut AdsStream, listening: &Listening) {
    listening.outlook.demand.call(CART);
    assert_eq!(wishes(&stream.request().await), (Kind::Listener, vec![CART], vec![]));
    stream.send(Kind::Listener, &[&service(CART)], &[]).await;
    let (_, wished) = stream.answer().await;
    assert_eq!(wishes(&wished[0]), (Kind::Route, vec![CART], vec![]));
    stream.send(Kind::Route, &[&routes(CART, &[(CART, 1)])], &[]).await;
    assert_eq!(wishes(&stream.request().await), (Kind::Cluster, vec![CART], vec![]), "the ACK waits for the backend");
    let [cluster, endpoints] = backend(CART);
    stream.send(Kind::Cluster, &[&cluster], &[]).await;
    let (ack, wished) = stream.answer().await;
    assert_eq!(
        (ack.type_url.as_str(), wishes(&wished[0])),
        (Kind::Cluster.type_url(), (Kind::Endpoints, vec![CART], vec![]))
    );
    stream.send(Kind::Endpoints, &[&endpoints], &[]).await;
    let [first, second] = [stream.answer().await.0, stream.answer().await.0];
    assert_eq!([first.type_url.as_str(), &second.type_url], [Kind::Route.type_url(), Kind::Endpoints.type_url()]);
    assert_eq!([first.error_detail, second.error_detail], [None, None]);
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"));
}

#[tokio::test]
async fn a_stream_opens_with_one_request_of_each_kind() {
    let scene = Scene::new().await;
    let _listening = scene.listening();
    let opening = scene.control.stream().await.opening().await;
    let node = opening[0].node.as_ref().unwrap();
    assert_eq!((node.id.as_str(), node.user_agent_name.as_str()), ("shop/web", "sluice-proxy"));
    let expected = [
        (Kind::Cluster, vec!["*"], vec!["*"]),
        (Kind::Endpoints, vec!["*"], vec!["*"]),
        (Kind::Listener, vec![WEB], vec![]),
        (Kind::Route, vec!["*"], vec!["*"]),
    ];
    assert_eq!(opening.each_ref().map(wishes), expected);
}

#[tokio::test]
async fn an_ack_follows_the_swap() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    let mut open = false;
    for _ in 0..20 {
        open = !open;
        let door = Door { plaintext: open, ..Door::to_members() }.made("shop/web");
        stream.teach(Kind::Listener, &[&door], &[]).await;
        assert_eq!(listening.config().door(0).unwrap().plaintext.is_some(), open);
    }
    stream.teach(Kind::Listener, &[], &[WEB]).await;
    assert_eq!(listening.config().door(0), None, "taken away");
}

#[tokio::test]
async fn a_route_goes_into_force_when_its_backends_are_known() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    teach_cart(&mut stream, &listening).await;
    let split = routes(CART, &[(CART, 9), (V2, 1)]);
    let nonce = stream.send(Kind::Route, &[&split], &[]).await;
    assert_eq!(wishes(&stream.request().await), (Kind::Cluster, vec![V2], vec![]));
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"), "the old one stays");
    let [cluster, endpoints] = backend(V2);
    stream.send(Kind::Cluster, &[&cluster], &[]).await;
    let (ack, _) = stream.answer().await;
    assert_eq!(ack.type_url, Kind::Cluster.type_url());
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"), "its endpoints are not known");
    stream.send(Kind::Endpoints, &[&endpoints], &[]).await;
    let (ack, _) = stream.answer().await;
    assert_eq!((ack.type_url.as_str(), ack.response_nonce), (Kind::Route.type_url(), nonce));
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=9 cart-v2.shop:80=1"));

    // All goes to the new one: nobody needs the old one any more.
    stream.answer().await;
    stream.send(Kind::Route, &[&routes(CART, &[(V2, 1)])], &[]).await;
    let (_, mut wished) = stream.answer().await;
    wished.push(DeltaDiscoveryRequest::default());
    assert_eq!(wishes(&wished[0]), (Kind::Cluster, vec![], vec![CART]));
    assert_eq!(wishes(&wished[1]), (Kind::Endpoints, vec![], vec![CART]));
    assert_eq!(listening.config().told().clusters.get(CART), None, "forgotten");
}

#[tokio::test]
async fn a_backend_that_does_not_exist_is_known_too() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    teach_cart(&mut stream, &listening).await;
    stream.send(Kind::Route, &[&routes(CART, &[(CART, 1), (V2, 1)])], &[]).await;
    stream.request().await;
    stream.send(Kind::Cluster, &[], &[V2]).await;
    let kinds = [stream.answer().await.0.type_url, stream.answer().await.0.type_url];
    assert_eq!(kinds, [Kind::Route.type_url(), Kind::Cluster.type_url()]);
    assert_eq!(listening.config().told().clusters.get(V2), Some(&Answer::Absent));
}

#[tokio::test]
async fn what_cannot_be_obeyed_is_refused_and_the_last_good_one_stays() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    teach_cart(&mut stream, &listening).await;
    let before = listening.config();
    let mut bad = service(CART);
    bad.resource.resource.as_mut().unwrap().value.extend([0x40, 1]);
    let good = Door::to_members().made("shop/web");
    let nonce = stream.send(Kind::Listener, &[&bad, &good], &[]).await;
    let (nack, _) = stream.answer().await;
    let detail = nack.error_detail.unwrap();
    assert_eq!((nack.response_nonce, detail.code), (nonce, 3));
    assert_eq!(detail.details[0].type_url, "type.googleapis.com/sluice.v1.Refusal");
    let refusal = Refusal::decode(detail.details[0].value.as_slice()).unwrap();
    let reason = "sets field 8, which this proxy does not understand".to_owned();
    let refused = RefusedResource { name: CART.into(), version: bad.version().into(), reason: reason.clone() };
    assert_eq!(refusal.resources, [refused]);
    assert_eq!(detail.message, format!("{CART}: {reason}"));
    assert_eq!(listening.config().told().services, before.told().services, "the old one stays");
    assert!(listening.config().door(0).is_some(), "what is good goes into force");
    assert_eq!(listening.outlook.report.now().refused["listener"][CART].reason, reason);

    drop(stream);
    let opening = scene.control.stream().await.opening().await;
    let versions = &opening[2].initial_resource_versions;
    assert_eq!(versions[WEB], good.version());
    assert_ne!(versions[CART], bad.version(), "what was refused is not held");
}

#[tokio::test]
async fn a_new_stream_asks_for_nothing_that_is_held() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    teach_cart(&mut stream, &listening).await;
    let unfinished = routes(CART, &[(V2, 1)]);
    stream.send(Kind::Route, &[&unfinished], &[]).await;
    stream.request().await;
    drop(stream);
    let mut stream = scene.control.stream().await;
    let opening = stream.opening().await;
    for (request, kind) in opening.iter().zip(Kind::ALL) {
        let expected = if kind == Kind::Listener { vec![CART, WEB] } else { vec![CART] };
        assert_eq!(wishes(request), (kind, expected, vec![]));
        let versions = &request.initial_resource_versions;
        assert_eq!(versions.len(), 1, "{versions:?}");
        assert_ne!(versions.get(CART).map(String::as_str), Some(unfinished.version()), "it never was in force");
    }
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"), "calls go on meanwhile");
    stream.teach(Kind::Listener, &[], &[CART]).await;
    assert!(matches!(listening.config().service(CART), Some(Answer::Absent)));
}

#[tokio::test]
async fn the_copy_on_disk_serves_before_and_without_the_control_plane() {
    let scene = Scene::new().await;
    scene.leave_a_copy().await;
    let Scene { pki, control, directory } = scene;
    let ports = control.ports();
    let address = control.members;
    drop(control);
    let outlook = Arc::new(Outlook::default());
    let mirror = Mirror::new(&[WEB], Limits::default());
    let copy = Copy::within(directory.path());
    let client = Client::new("shop/web".into(), mirror, copy, outlook.clone(), Arc::new(Metrics::default()));
    let us = Arc::new(Published::new(pki.credentials("shop/web")));
    let (channel, connections) = link::channel(&address.to_string(), move || us.now().control_plane());
    let mut tasks = JoinSet::new();
    tasks.spawn(client.run(channel, connections));
    let listening = Listening { outlook, _tasks: tasks };
    eventually("the copy in force, without a control plane", async || listening.route().is_some().then_some(())).await;
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"));
    assert!(listening.config().door(0).is_some());
    let control = ControlPlane::start_as(&pki, How { ports, ..How::default() }).await;
    let opening = control.stream().await.opening().await;
    let held: Vec<usize> = opening.iter().map(|request| request.initial_resource_versions.len()).collect();
    assert_eq!(held, [1, 1, 2, 1], "nothing is asked for twice");
}

#[tokio::test]
async fn the_copy_on_disk_is_not_served_to_whom_the_control_plane_answers() {
    let scene = Scene::new().await;
    scene.leave_a_copy().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    let opening = stream.opening().await;
    assert!(opening.iter().all(|request| request.initial_resource_versions.is_empty()), "all is asked for anew");
    assert_eq!(opening[2].resource_names_subscribe, [CART, WEB], "what was called before as well");
    stream.teach(Kind::Listener, &[], &[CART]).await;
    assert!(matches!(listening.config().service(CART), Some(Answer::Absent)));
    assert!(listening.config().door(0).is_none(), "what was in force once says nothing now");
    drop(stream);
    eventually("the copy in force, for want of an answer", async || listening.config().door(0).cloned()).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_never_rolled_back_from_disk() {
    let scene = Scene::new().await;
    scene.leave_a_copy().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    let closed = Door::to("shop/web-from-job", &id("shop/job")).made("shop/web");
    stream.teach(Kind::Listener, &[&closed], &[]).await;
    let in_force = listening.config().door(0).cloned().unwrap();
    // The rest of what it asks for is never answered: the first snapshot stays incomplete.
    let copy = Copy::within(scene.directory.path());
    let on_disk = async || {
        let saved = copy.read().unwrap()?;
        let newer = saved[2].resources.iter().any(|resource| resource.version == closed.version());
        newer.then(|| saved.iter().map(|response| response.resources.len()).collect::<Vec<_>>())
    };
    assert_eq!(eventually("the newer one on disk", on_disk).await, [1, 1, 2, 1], "beside what nothing was heard of");
    drop(stream);
    eventually("the copy in force, where nothing was heard", async || listening.route()).await;
    assert_eq!(listening.config().door(0), Some(&in_force), "and not where something was");
    let opening = scene.control.stream().await.opening().await;
    assert_eq!(opening[2].initial_resource_versions[WEB], closed.version());
}

#[tokio::test]
async fn names_that_are_called_while_nobody_can_be_asked_cost_no_service_that_is_held() {
    let scene = Scene::new().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    teach_cart(&mut stream, &listening).await;
    let Scene { pki, control, directory: _directory } = scene;
    let ports = control.ports();
    drop((stream, control));
    eventually("the outage", async || (!listening.outlook.report.now().connected).then_some(())).await;
    for index in 0..3_000 {
        listening.outlook.demand.call(&format!("made-up{index}.shop:80"));
    }
    let control = ControlPlane::start_as(&pki, How { ports, ..How::default() }).await;
    let opening = control.stream().await.opening().await;
    assert_eq!(opening[2].resource_names_subscribe.len(), 1_025, "as many as are kept, and its own listener");
    assert!(opening[2].initial_resource_versions.contains_key(CART));
    assert_eq!(listening.route().as_deref(), Some("cart.shop:80=1"), "held all the time");
}

#[tokio::test]
async fn the_copy_on_disk_is_the_last_good_one_where_the_newest_is_refused() {
    let scene = Scene::new().await;
    scene.leave_a_copy().await;
    let listening = scene.listening();
    let mut stream = scene.control.stream().await;
    stream.opening().await;
    let mut bad = Door::to_members().made("shop/web");
    bad.resource.resource.as_mut().unwrap().value.extend([0x40, 1]);
    stream.send(Kind::Listener, &[&bad], &[]).await;
    let opening = scene.control.stream().await.opening().await;
    assert!(opening[2].initial_resource_versions.contains_key(WEB));
    assert!(listening.config().door(0).is_some());
}

#[tokio::test]
async fn a_damaged_copy_is_as_good_as_none() {
    let scene = Scene::new().await;
    std::fs::write(scene.directory.path().join("last-config.bin"), "nonsense").unwrap();
    let listening = scene.listening();
    let opening = scene.control.stream().await.opening().await;
    assert_eq!(opening[2].initial_resource_versions.len(), 0);
    assert_eq!(**listening.config().told(), Config::default());
}

#[tokio::test]
async fn only_the_control_plane_of_the_own_mesh_is_heard() {
    let (pki, other) = (Arc::new(Pki::new()), Arc::new(Pki::new()));
    let impostor = ControlPlane::start_as(&pki, How { account: "shop/cart", ..How::default() }).await;
    let foreign = ControlPlane::start(&other).await;
    let us = Arc::new(Published::new(pki.credentials("shop/web")));
    let cases = [
        (&impostor, "and not spiffe://sluice.local/ns/sluice/sa/control-plane"),
        (&foreign, "invalid peer certificate"),
    ];
    for (control, expected) in cases {
        let us = us.clone();
        let (channel, _) = link::channel(&control.members.to_string(), move || us.now().control_plane());
        let report = ReportRequest { health: Health::Healthy.into(), ..ReportRequest::default() };
        let status = RegistrationClient::new(channel).report(report).await.unwrap_err();
        let reason = link::reason(&status);
        assert!(reason.contains(expected), "{reason}");
        assert!(control.told().reports.is_empty());
    }
    let expired = pki.material("shop/web", &Leaf::expired("shop/web"));
    let expired = Arc::new(sluice_proxy::identity::credentials::Credentials::new(expired).unwrap());
    let control = ControlPlane::start(&pki).await;
    let (channel, _) = link::channel(&control.members.to_string(), move || expired.control_plane());
    assert!(RegistrationClient::new(channel).report(ReportRequest::default()).await.is_err());
    assert!(control.told().reports.is_empty());
}

/// Rules of the mirror that need no stream.
mod mirror {
    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;

    use super::*;

    fn response(kind: Kind, nonce: &str, made: &[&Made], removed: &[&str]) -> DeltaDiscoveryResponse {
        DeltaDiscoveryResponse {
            type_url: kind.type_url().into(),
            nonce: nonce.into(),
            resources: made.iter().map(|made| made.resource.clone()).collect(),
            removed_resources: removed.iter().map(ToString::to_string).collect(),
            ..DeltaDiscoveryResponse::default()
        }
    }

    fn broken(mut made: Made) -> Made {
        made.resource.resource.as_mut().unwrap().value.extend([0x98, 0x06, 1]);
        made
    }

    /// A mirror that holds the way in to cart, on an open stream.
    fn mirror() -> Mirror {
        let mut mirror = Mirror::new(&[], Limits::default());
        mirror.open();
        mirror.call([CART.into()].into());
        mirror.receive(response(Kind::Listener, "1", &[&service(CART)], &[]));
        mirror
    }

    fn nonces(requests: &[DeltaDiscoveryRequest]) -> Vec<(&str, bool)> {
        let answers = requests.iter().filter(|request| !request.response_nonce.is_empty());
        answers.map(|request| (request.response_nonce.as_str(), request.error_detail.is_none())).collect()
    }

    /// Whether `name` is no longer asked for.
    fn left(requests: &[DeltaDiscoveryRequest], kind: Kind, name: &str) -> bool {
        requests.iter().any(|request| {
            request.type_url == kind.type_url() && request.resource_names_unsubscribe.iter().any(|gone| gone == name)
        })
    }

    #[test]
    fn a_route_that_names_a_refused_backend_is_refused_until_that_is_mended() {
        let mut mirror = mirror();
        let [good_cluster, endpoints] = backend(CART);
        let table = routes(CART, &[(CART, 1)]);
        assert_eq!(nonces(&mirror.receive(response(Kind::Route, "2", &[&table], &[])).requests), []);
        let bad = broken(cluster(CART, Speaks::Plaintext));
        let step = mirror.receive(response(Kind::Cluster, "3", &[&bad], &[]));
        assert_eq!(nonces(&step.requests), [("2", false), ("3", false)], "nobody waits for what will not come");
        let told = step.requests.iter().find(|request| request.response_nonce == "2").unwrap();
        let message = &told.error_detail.as_ref().unwrap().message;
        assert_eq!(message, "cart.shop:80: names cluster \"cart.shop:80\", which was refused");
        mirror.receive(response(Kind::Cluster, "4", &[&good_cluster], &[]));
        let step = mirror.receive(response(Kind::Endpoints, "5", &[&endpoints], &[]));
        assert!(
            step.config.is_none_or(|config| way(config) != "it has routes"),
            "what was refused is over, for both sides"
        );
        let step = mirror.receive(response(Kind::Route, "6", &[&table], &[]));
        assert_eq!(way(step.config.unwrap()), "it has routes", "until it is asked again");
        assert_eq!(nonces(&step.requests), [("6", true)]);
        assert!(mirror.table(Kind::Route).refused.is_empty());
    }

    #[test]
    fn a_route_that_was_refused_and_taken_back_stays_away() {
        let mut mirror = mirror();
        let [good_cluster, endpoints] = backend("a");
        let before = routes(CART, &[("a", 1)]);
        mirror.receive(response(Kind::Route, "2", &[&before], &[]));
        mirror.receive(response(Kind::Cluster, "3", &[&good_cluster], &[]));
        mirror.receive(response(Kind::Endpoints, "4", &[&endpoints], &[]));
        let [cluster_b, endpoints_b] = backend("b");
        mirror.receive(response(Kind::Route, "5", &[&routes(CART, &[("b", 1)])], &[]));
        let step = mirror.receive(response(Kind::Cluster, "6", &[&broken(cluster("b", Speaks::Plaintext))], &[]));
        assert_eq!(nonces(&step.requests), [("5", false), ("6", false)]);
        let step = mirror.receive(response(Kind::Route, "7", &[&before], &[]));
        assert_eq!(nonces(&step.requests), [("7", true)]);
        assert!(mirror.table(Kind::Route).refused.is_empty());
        assert!(left(&step.requests, Kind::Cluster, "b"), "nobody leads there any more");
        mirror.receive(response(Kind::Cluster, "8", &[&cluster_b], &[]));
        mirror.receive(response(Kind::Endpoints, "9", &[&endpoints_b], &[]));
        assert_eq!(mirror.table(Kind::Route).held[CART].version, before.resource.version);
    }

    #[test]
    fn a_service_that_was_refused_keeps_nobody_waiting() {
        let mut mirror = Mirror::new(&[], Limits::default());
        mirror.open();
        mirror.call([CART.into()].into());
        let step = mirror.receive(response(Kind::Listener, "1", &[&broken(service(CART))], &[]));
        assert_eq!(way(step.config.unwrap()), "refused");
        let step = mirror.receive(response(Kind::Listener, "2", &[&service(CART)], &[]));
        assert_eq!(way(step.config.unwrap()), "its routes are untold", "mended");
    }

    #[test]
    fn a_newer_route_takes_the_place_of_one_that_waits() {
        let mut mirror = mirror();
        mirror.receive(response(Kind::Route, "2", &[&routes(CART, &[("a", 1)])], &[]));
        let step = mirror.receive(response(Kind::Route, "3", &[&routes(CART, &[("b", 1)])], &[]));
        assert_eq!(wishes(&step.requests[0]), (Kind::Cluster, vec!["b"], vec!["a"]));
        assert_eq!(nonces(&step.requests), [], "neither is in force");
        let step = mirror.receive(response(Kind::Cluster, "4", &[], &["b"]));
        assert_eq!(nonces(&step.requests), [("2", true), ("3", true), ("4", true)]);
    }

    #[test]
    fn a_route_that_is_taken_away_is_waited_for_no_more() {
        let mut mirror = mirror();
        mirror.receive(response(Kind::Route, "2", &[&routes(CART, &[("a", 1)])], &[]));
        let step = mirror.receive(response(Kind::Route, "3", &[], &[CART]));
        assert_eq!(nonces(&step.requests), [("2", true), ("3", true)]);
        assert_eq!(way(step.config.unwrap()), "it has no routes");
    }

    #[test]
    fn what_is_no_longer_called_is_forgotten_with_all_that_hangs_on_it() {
        let mut mirror = mirror();
        let [cluster, endpoints] = backend(CART);
        mirror.receive(response(Kind::Route, "2", &[&routes(CART, &[(CART, 1)])], &[]));
        mirror.receive(response(Kind::Cluster, "3", &[&cluster], &[]));
        mirror.receive(response(Kind::Endpoints, "4", &[&endpoints], &[]));
        let step = mirror.call(std::collections::BTreeSet::default());
        let gone: Vec<_> = step.requests.iter().map(wishes).collect();
        let all = [Kind::Listener, Kind::Route, Kind::Cluster, Kind::Endpoints];
        assert_eq!(gone, all.map(|kind| (kind, vec![], vec![CART])));
        assert_eq!(*step.config.unwrap(), Config::default());
    }

    #[test]
    fn what_was_not_asked_for_is_acknowledged_and_not_held() {
        let mut mirror = mirror();
        let step = mirror.receive(response(Kind::Cluster, "2", &[&cluster("other", Speaks::Plaintext)], &["another"]));
        assert_eq!((nonces(&step.requests), step.config.is_none()), (vec![("2", true)], true));
        let unknown = DeltaDiscoveryResponse { type_url: "x".into(), nonce: "3".into(), ..Default::default() };
        assert_eq!(nonces(&mirror.receive(unknown).requests), [("3", false)]);
    }

    #[test]
    fn a_copy_that_lacks_a_backend_serves_no_route_to_it() {
        let mut mirror = mirror();
        let [cluster, endpoints] = backend(CART);
        mirror.receive(response(Kind::Route, "2", &[&routes(CART, &[(CART, 1)])], &[]));
        mirror.receive(response(Kind::Cluster, "3", &[&cluster], &[]));
        mirror.receive(response(Kind::Endpoints, "4", &[&endpoints], &[]));
        let mut saved = mirror.save(&[]);
        let restore = |saved| {
            let mut other = Mirror::new(&[], Limits::default());
            other.call([CART.into()].into());
            other.restore(saved).config.unwrap()
        };
        assert_eq!(way(restore(saved.clone())), "it has routes");
        saved[1].resources.clear();
        assert_eq!(way(restore(saved)), "its routes are untold", "it will be asked for again");
    }
}
