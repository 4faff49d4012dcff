//! How a sidecar comes to an identity, against a control plane on real sockets, and how it keeps it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use sluice_proxy::{
    base::published::Published,
    control::link,
    identity::{
        credentials::Credentials,
        obtain::{NoIdentity, Ways, obtain},
        renew::keep_fresh,
        state::Resting,
    },
    telemetry::metrics::Metrics,
};
use tokio::{task::JoinSet, time::Instant};

use crate::support::{
    control_plane::{ControlPlane, How, TOKEN},
    eventually,
    pki::{Leaf, Pki, id},
};

fn ways(control: &ControlPlane, pki: &Pki, token_file: Option<&Path>) -> Ways {
    Ways {
        token_file: token_file.map(Into::into),
        trust_anchors: Some(pki.anchor_pem().into()),
        join_addr: control.join.to_string(),
        deadline: Instant::now() + Duration::from_millis(500),
    }
}

/// A place for the state, and a file with a token.
fn place(token: &str) -> (tempfile::TempDir, Resting, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let resting = Resting::within(directory.path());
    (directory, resting, file)
}

#[tokio::test]
async fn a_token_is_traded_in_once() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (_directory, resting, file) = place(TOKEN);
    let identity = obtain(&resting, ways(&control, &pki, Some(&file))).await.unwrap();
    assert_eq!((identity.workload().as_str(), identity.leaf.id.as_str()), ("shop/cart", id("shop/cart").as_str()));
    assert!(!file.exists(), "a token that is spent lies about nowhere");
    // Started again, it is who it was: with its token file gone, and with none named.
    for token_file in [Some(file.as_path()), None] {
        let again = obtain(&resting, ways(&control, &pki, token_file)).await.unwrap();
        assert_eq!(again.leaf, identity.leaf);
    }
    assert_eq!(control.told().joined, 1);
}

#[tokio::test]
async fn anchors_may_come_in_a_file() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (directory, resting, file) = place(TOKEN);
    let anchors = directory.path().join("anchors.pem");
    fs::write(&anchors, pki.anchor_pem()).unwrap();
    let ways = Ways { trust_anchors: Some(anchors.display().to_string()), ..ways(&control, &pki, Some(&file)) };
    assert!(obtain(&resting, ways).await.is_ok());
}

#[tokio::test]
async fn without_anchors_nobody_is_shown_a_token() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (_directory, resting, file) = place(TOKEN);
    let cases = [
        (None, "it is not known which mesh to join: SLUICE_TRUST_ANCHORS is not set"),
        (
            Some("-----BEGIN nonsense"),
            "it is not known which mesh to join: SLUICE_TRUST_ANCHORS holds no well-formed PEM",
        ),
        (Some("/no/such/file"), "it is not known which mesh to join: cannot read /no/such/file: No such file"),
    ];
    for (trust_anchors, expected) in cases {
        let ways = Ways { trust_anchors: trust_anchors.map(Into::into), ..ways(&control, &pki, Some(&file)) };
        let error = obtain(&resting, ways).await.err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(control.told().joined, 0);
    // Who has joined before knows whom to believe.
    resting.write(&pki.material("shop/cart", &Leaf::of("shop/cart"))).unwrap();
    let ways = Ways { trust_anchors: None, ..ways(&control, &pki, Some(&file)) };
    obtain(&resting, ways).await.unwrap();
    assert_eq!(control.told().joined, 1);
}

#[tokio::test]
async fn a_bad_token_is_refused_with_advice() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (_directory, resting, file) = place("bad");
    let error = obtain(&resting, ways(&control, &pki, Some(&file))).await.err().unwrap();
    assert_eq!(error.to_string(), "the join token is wrong, used or expired; make a new one with `sluice token join`");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_bad_token_is_no_matter_while_the_identity_on_disk_is_good() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (_directory, resting, file) = place("bad");
    resting.write(&pki.material("shop/cart", &Leaf::of("shop/cart"))).unwrap();
    let identity = obtain(&resting, ways(&control, &pki, Some(&file))).await.unwrap();
    assert_eq!(identity.leaf.id.as_str(), id("shop/cart"));
    assert!(!file.exists(), "it is of no use to anybody");
    fs::write(&file, "bad").unwrap();
    resting.write(&pki.material("shop/cart", &Leaf::expired("shop/cart"))).unwrap();
    let error = obtain(&resting, ways(&control, &pki, Some(&file))).await.err().unwrap();
    assert!(matches!(error, NoIdentity::Join(_)), "{error}");
}

#[tokio::test]
async fn whoever_does_not_hear_the_answer_asks_again_with_the_same_key() {
    let pki = Arc::new(Pki::new());
    // One that joins for the first time, and one that was somebody before.
    for (loses, before) in [(3, None), (1, Some(pki.material("shop/cart", &Leaf::of("shop/cart"))))] {
        let control = ControlPlane::start_as(&pki, How { loses, ..How::default() }).await;
        let (_directory, resting, file) = place(TOKEN);
        if let Some(material) = &before {
            resting.write(material).unwrap();
        }
        let ways = Ways { deadline: Instant::now() + Duration::from_secs(20), ..ways(&control, &pki, Some(&file)) };
        let identity = obtain(&resting, ways).await.unwrap();
        assert!(before.is_none_or(|before| before.key != identity.material.key), "it joined");
        let told = control.told();
        assert_eq!(told.joined, loses + 1);
        assert!(told.signing.iter().all(|request| *request == told.signing[0]));
    }
}

#[tokio::test]
async fn a_token_is_shown_to_the_control_plane_of_the_mesh_alone() {
    let (pki, other) = (Arc::new(Pki::new()), Arc::new(Pki::new()));
    let impostor = ControlPlane::start_as(&pki, How { account: "shop/cart", ..How::default() }).await;
    let foreign = ControlPlane::start(&other).await;
    for (control, expected) in [(&impostor, "and not a control plane"), (&foreign, "invalid peer certificate")] {
        let (_directory, resting, file) = place(TOKEN);
        let error = obtain(&resting, ways(control, &pki, Some(&file))).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(file.exists(), "it is still good");
        assert_eq!(control.told().joined, 0);
    }
}

#[tokio::test]
async fn without_a_control_plane_the_identity_on_disk_serves() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let (_directory, resting, file) = place(TOKEN);
    resting.write(&pki.material("shop/cart", &Leaf::of("shop/cart"))).unwrap();
    let ways = Ways { join_addr: "127.0.0.1:1".into(), ..ways(&control, &pki, Some(&file)) };
    let identity = obtain(&resting, ways.clone()).await.unwrap();
    assert_eq!(identity.leaf.id.as_str(), id("shop/cart"));
    resting.write(&pki.material("shop/cart", &Leaf::expired("shop/cart"))).unwrap();
    let error = obtain(&resting, ways.clone()).await.err().unwrap();
    assert!(matches!(error, NoIdentity::Join(_)), "{error}");
    let error = obtain(&resting, Ways { token_file: None, ..ways.clone() }).await.err().unwrap();
    assert!(matches!(error, NoIdentity::Expired), "{error}");
    let nowhere = Resting::within(Path::new("/nowhere"));
    let error = obtain(&nowhere, Ways { token_file: None, ..ways }).await.err().unwrap();
    assert!(matches!(error, NoIdentity::NoWay), "{error}");
}

#[tokio::test]
async fn an_identity_is_renewed_with_a_new_key_when_most_of_its_life_is_over() {
    let pki = Arc::new(Pki::new());
    let control = ControlPlane::start(&pki).await;
    let directory = tempfile::tempdir().unwrap();
    let resting = Resting::within(directory.path());
    let now = std::time::SystemTime::now();
    let hour = Duration::from_hours(1);
    let old = Leaf { not_before: now - 4 * hour, not_after: now + hour, ..Leaf::of("shop/cart") };
    let first = Credentials::new(pki.material("shop/cart", &old)).unwrap();
    let (key, leaf) = (first.material.key.clone(), first.leaf.clone());
    let identity = Arc::new(Published::new(first));
    let metrics = Arc::new(Metrics::default());
    let us = identity.clone();
    let (channel, _) = link::channel(&control.members.to_string(), move || us.now().control_plane());
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_fresh(identity.clone(), channel, resting.clone(), metrics.clone()));
    eventually("a new identity", async || (identity.now().leaf != leaf).then_some(())).await;
    let renewed = identity.now();
    assert_eq!(renewed.leaf.id, leaf.id);
    assert_ne!(renewed.material.key, key, "a new key each time");
    assert!(resting.read().unwrap().unwrap() == renewed.material);
    let text = async || metrics.print().unwrap().contains("renewals_total{result=\"ok\"} 1").then_some(());
    eventually("the count", text).await;
    assert_eq!(control.told().renewed, 1, "and then it is fresh for long");
}
