//! An endpoint that is gone without a word, packets and all: nobody waits for it for longer than it takes to notice.

use std::time::Duration;

use http::{Request, Version};
use sluice_proxy::{exchange::upstream, http::Pings};

use crate::support::{
    eventually,
    http::{Answer, Client, full, named},
    mesh::{Bounds, CART, Sidecar, to_cart},
    pki::Pki,
    relay::Relay,
    resources::{Door, service_with_idle_timeout},
};

/// `cart` behind a way that can be lost, and `web`, which calls it.
struct Far {
    relay: Relay,
    web: Sidecar,
}

impl Far {
    async fn new(pings: Pings, idle_ms: i64) -> Self {
        let pki = Pki::new();
        let program = named("cart").await;
        let cart = Sidecar::start(pki.credentials("shop/cart"), program, &[Door::to_members().made("shop/cart")]).await;
        let relay = Relay::to(cart.inbound).await;
        let mut resources = to_cart(&[relay.address]);
        resources[0] = service_with_idle_timeout(CART, idle_ms);
        let upstream = upstream::Settings { pings, ..upstream::Settings::default() };
        let bounds = Bounds { upstream, ..Bounds::default() };
        let web = Sidecar::bounded(pki.credentials("shop/web"), program, &resources, bounds).await;
        Self { relay, web }
    }

    async fn caller(&self, version: Version) -> Client {
        Client::plain(self.web.outbound, version).await
    }
}

const SOON: Pings = Pings { every: Duration::from_millis(50), patience: Duration::from_millis(200) };
const NEVER: Pings = Pings { every: Duration::from_hours(1), patience: Duration::from_hours(1) };

#[tokio::test]
async fn calls_on_a_connection_that_leads_nowhere_are_made_on_another_one() {
    let far = Far::new(SOON, 300_000).await;
    assert_eq!(far.caller(Version::HTTP_2).await.get("http://cart.shop/").await.status, 200);
    far.relay.lose();
    let calls = (0..10).map(|_| async {
        let mut caller = far.caller(Version::HTTP_2).await;
        caller.get("http://cart.shop/").await.status
    });
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await);
    }
    assert_eq!(answers, [200; 10]);
    assert_eq!(far.relay.made(), 2, "one other connection was enough");
}

#[tokio::test]
async fn what_must_not_be_done_twice_fails_when_its_connection_leads_nowhere() {
    let far = Far::new(SOON, 300_000).await;
    assert_eq!(far.caller(Version::HTTP_2).await.get("http://cart.shop/").await.status, 200);
    let mut caller = far.caller(Version::HTTP_2).await;
    far.relay.lose();
    let request = Request::post("http://cart.shop/").body(full("once")).unwrap();
    let answer = Answer::of(caller.send(request).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "connection-broken"));
    assert_eq!(caller.get("http://cart.shop/").await.status, 200);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_and_that_leads_nowhere_is_given_up_before_anybody_does() {
    let far = Far::new(SOON, 300_000).await;
    assert_eq!(far.caller(Version::HTTP_2).await.get("http://cart.shop/").await.status, 200);
    far.relay.lose();
    let given_up = async || (far.web.metric("sluice_upstream_connections") == 0).then_some(());
    eventually("the end of the connection", given_up).await;
}

#[tokio::test]
async fn where_a_call_waited_in_vain_no_other_call_waits() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let far = Far::new(NEVER, 500).await;
        // Several connections of HTTP/1.1 are idle then.
        let mut callers = [far.caller(version).await, far.caller(version).await, far.caller(version).await];
        let [one, two, three] = &mut callers;
        let url = "http://cart.shop/";
        let answers = tokio::join!(one.get(url), two.get(url), three.get(url));
        assert_eq!([answers.0.status, answers.1.status, answers.2.status], [200; 3]);
        far.relay.lose();
        assert_eq!(callers[0].get(url).await.problem_code(), "idle-timeout", "{version:?}");
        assert_eq!(callers[1].get(url).await.status, 200, "{version:?}");
    }
}
