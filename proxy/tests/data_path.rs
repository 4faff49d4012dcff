//! Calls on real sockets, from program to program through two sidecars.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use sluice_proxy::identity::credentials::Credentials;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    eventually,
    http::{Answer, Body, Client, empty, full, named, program},
    mesh::{Bounds, CART, Mesh, Sidecar, to_cart},
    pki::{Leaf, Pki, id},
    resources::{
        Door, Speaks, account, anyone, anything, cluster, endpoints, endpoints_with_health, marked_endpoints,
        path_prefix, policy, route_that_answers, routes, service, service_with_idle_timeout,
    },
    soon,
};

#[tokio::test]
async fn a_call_reaches_the_program_in_the_version_in_which_it_was_made() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    for (version, expected) in
        [(Version::HTTP_11, "cart HTTP/1.1 GET /items?page=2"), (Version::HTTP_2, "cart HTTP/2.0 GET ")]
    {
        let mut caller = mesh.caller(version).await;
        for _ in 0..3 {
            let answer = caller.get("http://cart.shop/items?page=2").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.starts_with(expected), "{answer:?}");
            assert_eq!(answer.header("x-program"), "cart");
        }
    }
    assert_eq!(mesh.cart.metric("sluice_inbound_requests_total{status_class=\"2xx\"}"), 6);
    let series =
        "sluice_outbound_requests_total{service=\"cart.shop:80\",backend=\"cart.shop:80\",status_class=\"2xx\"}";
    assert_eq!(mesh.web.metric(series), 6);
    let decided = "sluice_inbound_decisions_total{decision=\"allow\",rule=\"default/all-authenticated\"}";
    assert_eq!(mesh.cart.metric(decided), 6);
    assert_eq!(mesh.web.metric("sluice_upstream_connections"), 2, "one of each version, used again");
}

#[tokio::test]
async fn a_service_is_called_by_the_host_header_as_well() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let mut caller = mesh.caller(Version::HTTP_11).await;
    for host in ["cart", "cart.shop", "CART.shop.", "cart.shop:80"] {
        let request = Request::get("/items").header("host", host).body(empty()).unwrap();
        let answer = Answer::of(caller.send(request).await).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "cart HTTP/1.1 GET /items"), "{host}");
    }
}

#[tokio::test]
async fn the_host_stays_as_it_was_written_and_what_belongs_to_a_connection_is_left_behind() {
    let echo = program(|request| async move {
        let mut response = Response::new(empty());
        for (name, value) in request.headers() {
            response.headers_mut().append(format!("saw-{name}").parse::<http::HeaderName>().unwrap(), value.clone());
        }
        response.headers_mut().insert("connection", "x-secret".parse().unwrap());
        response.headers_mut().insert("x-secret", "1".parse().unwrap());
        response
    })
    .await;
    let mesh = Mesh::new(echo, Door::to_members()).await;
    let request = Request::get("http://Cart.shop/")
        .header("host", "cart.shop")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("proxy-connection", "keep-alive")
        .header("upgrade", "websocket")
        .header("x-mine", "2");
    let answer = Answer::of(mesh.caller(Version::HTTP_11).await.send(request.body(empty()).unwrap()).await).await;
    assert_eq!((answer.header("saw-host"), answer.header("saw-x-mine")), ("Cart.shop", "2"));
    for gone in ["saw-connection", "saw-x-hop", "saw-proxy-connection", "saw-upgrade", "x-secret"] {
        assert_eq!(answer.headers.get(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn a_split_is_exact_on_the_wire() {
    let pki = Pki::new();
    let mut addresses = Vec::new();
    for name in ["v1", "v2"] {
        let door = Door::to_members().made("shop/cart");
        addresses.push(Sidecar::start(pki.credentials("shop/cart"), named(name).await, &[door]).await.inbound);
    }
    let cart = [id("shop/cart")];
    let (v1, v2) = ("cart-v1.shop:80", "cart-v2.shop:80");
    let web = Sidecar::start(
        pki.credentials("shop/web"),
        addresses[0],
        &[
            service(CART),
            routes(CART, &[(v1, 90), (v2, 10)]),
            cluster(v1, Speaks::Tls(&cart)),
            cluster(v2, Speaks::Tls(&cart)),
            endpoints(v1, &addresses[..1]),
            endpoints(v2, &addresses[1..]),
        ],
    )
    .await;
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let callers = (0..4).map(|_| {
        let (counts, outbound) = (counts.clone(), web.outbound);
        tokio::spawn(async move {
            let mut caller = Client::plain(outbound, Version::HTTP_11).await;
            for _ in 0..50 {
                let answer = caller.get("http://cart.shop/").await;
                assert_eq!(answer.status, 200, "{answer:?}");
                let backend = usize::from(answer.header("x-program") == "v2");
                counts[backend].fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(counts.each_ref().map(|count| count.load(Ordering::Relaxed)), [180, 20]);
}

#[tokio::test]
async fn who_may_not_call_is_told_why() {
    let mesh = Mesh::new(named("cart").await, Door::to("shop/cart-from-job", &id("shop/job"))).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let answer = mesh.caller(version).await.get("http://cart.shop/items").await;
        assert_eq!((answer.status, answer.header("proxy-status")), (403, "sluice; error=http_request_denied"));
        let problem = answer.problem();
        assert_eq!(problem["type"], "urn:sluice:problem:denied");
        assert_eq!(problem["workload"], "shop/cart");
        let verdict = serde_json::json!({ "decision": "deny", "rule": null, "closedBy": ["shop/cart-from-job"] });
        assert_eq!(problem["verdict"], verdict);
        let detail = "spiffe://sluice.local/ns/shop/sa/web may not GET /items at shop/cart: \
                      no rule of shop/cart-from-job allows it";
        assert_eq!(problem["detail"], detail);
    }
    let request = Request::post("http://cart.shop/x").header("content-type", "application/grpc+proto");
    let answer = mesh.caller(Version::HTTP_2).await.send(request.body(empty()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"7".parse().unwrap()));
    assert!(answer.headers()["grpc-message"].to_str().unwrap().contains("may not POST /x"));
    assert_eq!(mesh.cart.metric("sluice_inbound_decisions_total{decision=\"deny\",rule=\"none\"}"), 3);
}

#[tokio::test]
async fn a_change_of_rules_holds_from_the_next_request_on() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let mut caller = mesh.caller(Version::HTTP_2).await;
    assert_eq!(caller.get("http://cart.shop/").await.status, 200);
    mesh.cart.swap(&[Door::to("shop/p", &id("shop/job")).made("shop/cart")]);
    assert_eq!(caller.get("http://cart.shop/").await.status, 403);
    mesh.cart.swap(&[]);
    assert_eq!(caller.get("http://cart.shop/").await.status, 503, "no listener, no way in");
}

#[tokio::test]
async fn the_program_sees_the_path_that_was_judged() {
    let rule = ("shop/items/0".to_owned(), policy(account(&id("shop/web")), path_prefix("/items/")));
    let door = Door { allow: vec![rule], normalised: true, ..Door::default() };
    let mesh = Mesh::new(named("cart").await, door).await;
    let mut caller = mesh.caller(Version::HTTP_11).await;
    let answer = caller.get("http://cart.shop/secret/..//items/%2e/%41?x=%2F..").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "cart HTTP/1.1 GET /items/A?x=%2F.."));
    assert_eq!(caller.get("http://cart.shop/items/../secret").await.problem_code(), "denied");
    assert_eq!(caller.get("http://cart.shop/items%2Fsecret").await.problem_code(), "bad-path");
}

#[tokio::test]
async fn bodies_and_trailers_stream_both_ways() {
    let echo = program(|request| async move {
        let body = request.into_body().map_err(Into::into);
        Response::builder().header("trailer", "x-sum").body(UnsyncBoxBody::new(body)).unwrap()
    })
    .await;
    let mesh = Mesh::new(echo, Door::to_members()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>(1);
        let body: Body = UnsyncBoxBody::new(StreamBody::new(ReceiverStream::new(receiver)));
        let request = Request::post("http://cart.shop/").header("host", "cart.shop").header("te", "trailers");
        let request = request.header("trailer", "x-sum").body(body).unwrap();
        let mut caller = mesh.caller(version).await;
        let mut answer = caller.send(request).await;
        // Each chunk comes back before the next one goes: nothing on the way waits for the whole.
        for chunk in ["one", "two", "three"] {
            sender.send(Ok(Frame::data(chunk.into()))).await.unwrap();
            let frame = soon("the echo", answer.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), chunk, "{version:?}");
        }
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "11".parse().unwrap())]);
        sender.send(Ok(Frame::trailers(trailers.clone()))).await.unwrap();
        drop(sender);
        let frame = soon("trailers", answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap(), trailers, "{version:?}");
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let count = program(|request| async move {
        let mut body = request.into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            count += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        Response::new(full(vec![b'x'; count]))
    })
    .await;
    let mesh = Mesh::new(count, Door::to_members()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let request = Request::post("http://cart.shop/").header("host", "cart.shop").body(full(vec![b'y'; 3 << 20]));
        let answer = Answer::of(mesh.caller(version).await.send(request.unwrap()).await).await;
        assert_eq!(answer.body.len(), 3 << 20, "{version:?}");
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let program = program(|request| async move {
        let response = Response::builder().header("content-length", "5");
        match (request.method().as_str(), request.uri().path()) {
            ("HEAD", _) => response.body(empty()),
            (_, "/204") => Response::builder().status(204).body(empty()),
            (_, "/304") => Response::builder().status(304).header("etag", "\"1\"").body(empty()),
            _ => response.body(full("hello")),
        }
        .unwrap()
    })
    .await;
    let mesh = Mesh::new(program, Door::to_members()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = mesh.caller(version).await;
        let request = Request::head("http://cart.shop/").header("host", "cart.shop").body(empty()).unwrap();
        let answer = Answer::of(caller.send(request).await).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "", "5"));
        for status in [204, 304] {
            let answer = caller.get(&format!("http://cart.shop/{status}")).await;
            assert_eq!((answer.status, answer.body.as_str()), (status, ""));
        }
        assert_eq!(caller.get("http://cart.shop/").await.body, "hello", "the connection is in order");
    }
}

#[tokio::test]
async fn a_caller_may_wait_for_leave_to_send_its_body() {
    let echo = program(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(body))
    })
    .await;
    let mesh = Mesh::new(echo, Door::to_members()).await;
    let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
    let head =
        "POST http://cart.shop/ HTTP/1.1\r\nhost: cart.shop\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = [0; 25];
    soon("leave", stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("hello") {
        let mut buffer = [0; 1024];
        let count = soon("the answer", stream.read(&mut buffer)).await.unwrap();
        assert!(count > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_service_without_a_sidecar_is_called_in_plaintext() {
    let pki = Pki::new();
    let legacy = named("legacy").await;
    let cluster = cluster(CART, Speaks::Plaintext);
    let resources = [service(CART), routes(CART, &[(CART, 1)]), cluster, endpoints(CART, &[legacy])];
    let web = Sidecar::start(pki.credentials("shop/web"), legacy, &resources).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(Client::plain(web.outbound, version).await.get("http://cart/").await.header("x-program"), "legacy");
    }
}

#[tokio::test]
async fn a_service_of_which_some_have_a_sidecar_is_called_at_all_of_them_and_at_each_as_it_is_marked() {
    let pki = Pki::new();
    let legacy = named("legacy").await;
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let ids = [id("shop/cart")];
    let known = [service(CART), routes(CART, &[(CART, 1)]), cluster(CART, Speaks::ByEndpoint(&ids))];
    let at = |endpoints: &[_]| [known.as_slice(), &[marked_endpoints(CART, endpoints)]].concat();
    let web = Sidecar::start(pki.credentials("shop/web"), legacy, &at(&[(cart.inbound, true), (legacy, false)])).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = Client::plain(web.outbound, version).await;
        let mut reached = Vec::new();
        for _ in 0..4 {
            reached.push(caller.get("http://cart/").await.header("x-program").to_owned());
        }
        reached.sort();
        assert_eq!(reached, ["cart", "cart", "legacy", "legacy"], "{version:?}");
    }
    // Never in plaintext to who is marked, never with a handshake to who is not.
    web.swap(&at(&[(legacy, true)]));
    let mut caller = Client::plain(web.outbound, Version::HTTP_11).await;
    assert_eq!(caller.get("http://cart/").await.problem_code(), "tls-failed");
    web.swap(&at(&[(cart.inbound, false)]));
    assert_eq!(caller.get("http://cart/").await.status, 502, "its door takes no plaintext");
    assert_eq!(cart.metric("sluice_inbound_refused_connections_total{reason=\"plaintext\"}"), 1);
}

#[tokio::test]
async fn a_service_that_speaks_http2_alone_is_spoken_to_so() {
    let pki = Pki::new();
    let door = Door::to_members().made("shop/cart");
    let cart = Sidecar::start(pki.credentials("shop/cart"), named("cart").await, &[door]).await;
    let cluster = cluster(CART, Speaks::TlsHttp2(&[id("shop/cart")]));
    let resources = [service(CART), routes(CART, &[(CART, 1)]), cluster, endpoints(CART, &[cart.inbound])];
    let web = Sidecar::start(pki.credentials("shop/web"), cart.inbound, &resources).await;
    let answer = Client::plain(web.outbound, Version::HTTP_11).await.get("http://cart/x").await;
    assert!(answer.body.starts_with("cart HTTP/2.0 GET "), "{answer:?}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_listen_costs_no_call() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    mesh.web.swap(&to_cart(&[gone, mesh.cart.inbound]));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = mesh.caller(version).await;
        for _ in 0..4 {
            assert_eq!(caller.get("http://cart.shop/").await.status, 200);
        }
    }
    mesh.web.swap(&to_cart(&[gone]));
    assert_eq!(mesh.caller(Version::HTTP_11).await.get("http://cart.shop/").await.problem_code(), "connect-failed");
}

#[tokio::test]
async fn unfit_endpoints_get_nothing() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let unfit = [(nowhere, HealthStatus::Draining), (nowhere, HealthStatus::Unhealthy)];
    let mut resources = to_cart(&[]);
    let mut all = unfit.to_vec();
    all.push((mesh.cart.inbound, HealthStatus::Healthy));
    resources[3] = endpoints_with_health(CART, &all);
    mesh.web.swap(&resources);
    let mut caller = mesh.caller(Version::HTTP_11).await;
    for _ in 0..3 {
        assert_eq!(caller.get("http://cart.shop/").await.status, 200);
    }
    resources[3] = endpoints_with_health(CART, &unfit);
    mesh.web.swap(&resources);
    assert_eq!(caller.get("http://cart.shop/").await.problem_code(), "no-endpoint");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    // Answers one request on each connection, and hangs up without having said so.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    let mesh = Mesh::new(address, Door::to_members()).await;
    let mut caller = mesh.caller(Version::HTTP_11).await;
    for turn in 0..50 {
        let answer = caller.get("http://cart.shop/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "turn {turn}: {answer:?}");
    }
}

#[tokio::test]
async fn the_sidecar_itself_answers_what_goes_nowhere() {
    let pki = Pki::new();
    let mut resources = to_cart(&[]);
    let missing = "missing.shop:80";
    resources.extend([service("half.shop:80"), routes("half.shop:80", &[(missing, 1)])]);
    resources.extend([service("zero.shop:80"), route_that_answers("zero.shop:80", 500)]);
    let web = Sidecar::start(pki.credentials("shop/web"), "127.0.0.1:1".parse().unwrap(), &resources).await;
    let mut config = (**web.config.now().told()).clone();
    config.services.insert("gone.shop:80".into(), sluice_proxy::config::Answer::Absent);
    config.clusters.insert(missing.into(), sluice_proxy::config::Answer::Absent);
    web.put_in_force(config);
    let cases = [
        ("http://cart.shop/", 503, "no-endpoint"),
        ("http://half.shop/", 500, "missing-backend"),
        ("http://zero.shop/", 500, "route-answers"),
        ("http://gone.shop/", 502, "no-service"),
        ("http://10.0.0.1/", 502, "no-service"),
        ("http://a.b.c/", 502, "no-service"),
        ("http://unheard.shop/", 503, "no-configuration"),
        ("https://cart.shop/", 400, "bad-request"),
    ];
    let mut caller = Client::plain(web.outbound, Version::HTTP_11).await;
    for (url, status, code) in cases {
        let answer = caller.get(url).await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (status, code), "{url}");
    }
    assert!(web.demand.all().contains("unheard.shop:80"), "the control plane is asked");
    for (authority, status, code) in [("cart.shop:443", 405, "no-tunnel"), ("10.0.0.1:80", 502, "no-service")] {
        let tunnel = Request::connect(authority).body(empty()).unwrap();
        let answer = Answer::of(Client::plain(web.outbound, Version::HTTP_11).await.send(tunnel).await).await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (status, code), "{authority}");
    }
    let tunnel = Request::connect("cart.shop:80").body(empty()).unwrap();
    let answer = Answer::of(Client::plain(web.outbound, Version::HTTP_2).await.send(tunnel).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (405, "no-tunnel"));
    let hostless = Request::get("/").body(empty()).unwrap();
    let answer = Answer::of(caller.send(hostless).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (400, "bad-request"));
    let request = Request::post("http://gone.shop/").header("content-type", "application/grpc");
    let answer = Client::plain(web.outbound, Version::HTTP_2).await.send(request.body(empty()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
}

#[tokio::test]
async fn a_tunnel_for_http_carries_calls_as_if_there_were_none() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = Client::through_tunnel(mesh.web.outbound, "cart.shop:80", version).await;
        for _ in 0..3 {
            let answer = caller.get("http://cart.shop/a").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.starts_with(&format!("cart {version:?} GET")), "{answer:?}");
        }
        assert_eq!(caller.get("http://10.0.0.1/").await.status, 502, "each call says itself whom it means");
    }
    let mut caller = Client::through_tunnel(mesh.web.outbound, "cart.shop:80", Version::HTTP_11).await;
    let tunnel = Request::connect("cart.shop:80").body(empty()).unwrap();
    let answer = Answer::of(caller.send(tunnel).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (405, "no-tunnel"), "no tunnel in a tunnel");
}

#[tokio::test]
async fn a_call_waits_for_the_control_plane_to_say_where_it_goes() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let bounds = Bounds { patience: Duration::from_secs(20), ..Bounds::default() };
    let job = Sidecar::bounded(mesh.pki.credentials("shop/job"), mesh.cart.inbound, &[], bounds).await;
    let outbound = job.outbound;
    let call = tokio::spawn(async move { Client::plain(outbound, Version::HTTP_11).await.get("http://cart/").await });
    eventually("the wish", async || job.demand.all().contains(CART).then_some(())).await;
    let all = to_cart(&[mesh.cart.inbound]);
    job.swap(&all[..2]);
    job.swap(&all);
    assert_eq!(call.await.unwrap().status, 200);
}

#[tokio::test]
async fn what_stands_still_is_given_up() {
    let silent = program(|request| async move {
        if request.uri().path() == "/body" {
            let (sender, receiver) = mpsc::channel(1);
            let body = Box::leak(Box::new(sender));
            let _: Result<(), _> = body.send(Ok(Frame::data(Bytes::from("some")))).await;
            return Response::new(UnsyncBoxBody::new(StreamBody::new(ReceiverStream::new(receiver))));
        }
        std::future::pending().await
    })
    .await;
    let mesh = Mesh::new(silent, Door { idle_ms: Some(60_000), ..Door::to_members() }).await;
    let mut resources = to_cart(&[mesh.cart.inbound]);
    resources[0] = service_with_idle_timeout(CART, 200);
    mesh.web.swap(&resources);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = mesh.caller(version).await;
        assert_eq!(caller.get("http://cart.shop/").await.problem_code(), "idle-timeout");
        let request = Request::get("http://cart.shop/body").header("host", "cart.shop").body(empty()).unwrap();
        let response = mesh.caller(version).await.send(request).await;
        let body = soon("the end of the body", response.into_body().collect()).await;
        assert!(body.is_err(), "it was cut off and does not look whole");
    }
    eventually("the requests to end", async || (mesh.cart.in_flight.inside() == 0).then_some(())).await;
}

#[tokio::test]
async fn the_longest_time_that_can_be_said_is_waited_for_and_takes_nobody_down() {
    const LONGEST_MS: i64 = 315_576_000_000_000;
    let mesh = Mesh::new(named("cart").await, Door { idle_ms: Some(LONGEST_MS), ..Door::to_members() }).await;
    let mut resources = to_cart(&[mesh.cart.inbound]);
    resources[0] = service_with_idle_timeout(CART, LONGEST_MS);
    mesh.web.swap(&resources);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(mesh.caller(version).await.get("http://cart.shop/").await.status, 200);
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_turned_away() {
    let silent = program(|_| std::future::pending()).await;
    let pki = Pki::new();
    let bounds = Bounds { requests: 1, ..Bounds::default() };
    let door = Door { plaintext: true, allow: vec![("p/q/0".into(), policy(anyone(), anything()))], ..Door::default() };
    let cart = Sidecar::bounded(pki.credentials("shop/cart"), silent, &[door.made("shop/cart")], bounds).await;
    let held =
        tokio::spawn(async move { Client::plain(cart.inbound, Version::HTTP_11).await.get("http://cart/").await });
    eventually("the first request", async || (cart.in_flight.inside() == 1).then_some(())).await;
    let answer = Client::plain(cart.inbound, Version::HTTP_11).await.get("http://cart/").await;
    assert_eq!((answer.status, answer.header("proxy-status")), (503, "sluice; error=connection_limit_reached"));
    held.abort();
    eventually("the first caller's going", async || (cart.in_flight.inside() == 0).then_some(())).await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let request = Request::get("http://cart.shop/").header("host", "cart").header("x-large", "x".repeat(100 << 10));
    let answer = mesh.caller(Version::HTTP_11).await.send(request.body(empty()).unwrap()).await;
    assert_eq!(answer.status().as_u16(), 431);
}

#[tokio::test]
async fn an_audit_is_counted_and_decides_nothing() {
    let door = Door { audited_allow: Some(Vec::new()), ..Door::to_members() };
    let mesh = Mesh::new(named("cart").await, door).await;
    assert_eq!(mesh.caller(Version::HTTP_11).await.get("http://cart.shop/").await.status, 200);
    assert_eq!(mesh.cart.metric("sluice_inbound_audit_total{decision=\"deny\",rule=\"none\"}"), 1);
}

#[tokio::test]
async fn whose_identity_changed_is_called_over_new_connections_alone() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let mut caller = mesh.caller(Version::HTTP_2).await;
    assert_eq!(caller.get("http://cart.shop/").await.status, 200);
    let mut resources = to_cart(&[mesh.cart.inbound]);
    resources[2] = cluster(CART, Speaks::Tls(&[id("shop/other")]));
    mesh.web.swap(&resources);
    let answer = caller.get("http://cart.shop/").await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "tls-failed"));
    let problem = answer.problem();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("sa/cart, and not spiffe://sluice.local/ns/shop/sa/other"), "{detail:?}");
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let expired = mesh.pki.material("shop/cart", &Leaf::expired("shop/cart"));
    let fresh = mesh.cart.identity.now();
    mesh.cart.identity.swap(Arc::new(Credentials::new(expired).unwrap()));
    let mut caller = mesh.caller(Version::HTTP_11).await;
    assert_eq!(caller.get("http://cart.shop/").await.problem_code(), "tls-failed");
    mesh.cart.identity.swap(fresh);
    assert_eq!(caller.get("http://cart.shop/").await.status, 200);
}

#[tokio::test]
async fn callers_are_asked_to_go_elsewhere_while_draining_and_are_served_all_the_same() {
    let door = Door { plaintext: true, allow: vec![("p/q/0".into(), policy(anyone(), anything()))], ..Door::default() };
    let mesh = Mesh::new(named("cart").await, door).await;
    let mut old = Client::plain(mesh.cart.inbound, Version::HTTP_11).await;
    assert_eq!(old.get("http://cart/").await.header("connection"), "");
    mesh.cart.draining.send_replace(true);
    let answer = Client::plain(mesh.cart.inbound, Version::HTTP_11).await.get("http://cart/").await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    let mut http2 = Client::plain(mesh.cart.inbound, Version::HTTP_2).await;
    assert_eq!(http2.get("http://cart/").await.status, 200);
    let mut caller = mesh.caller(Version::HTTP_2).await;
    for _ in 0..5 {
        assert_eq!(caller.get("http://cart.shop/").await.status, 200, "sidecars go elsewhere without a loss");
    }
}

/// Which doors a stranger finds, by transport.
#[tokio::test]
async fn a_caller_without_an_identity_hears_the_status_alone() {
    let rule = ("shop/health/0".to_owned(), policy(anyone(), path_prefix("/health")));
    let door = Door { allow: vec![rule], plaintext: true, normalised: true, ..Door::default() };
    let mesh = Mesh::new(named("cart").await, door).await;
    let mut stranger = Client::plain(mesh.cart.inbound, Version::HTTP_11).await;
    assert_eq!(stranger.get("http://cart/health").await.status, 200);
    let seen: BTreeMap<_, _> = ["/items", "/a%2Fb"]
        .into_iter()
        .zip([stranger.get("http://cart/items").await, stranger.get("http://cart/a%2Fb").await])
        .map(|(path, answer)| (path, (answer.status, answer.body)))
        .collect();
    assert_eq!(seen, BTreeMap::from([("/items", (403, String::new())), ("/a%2Fb", (400, String::new()))]));
}
