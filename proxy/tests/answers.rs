//! Answers of programs, byte by byte: what can be read in one way is passed on whole, and nothing else is.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, Version};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    eventually,
    http::{Answer, Client, empty, full, named, program},
    mesh::{CART, Mesh, to_cart},
    resources::{Door, anyone, path_prefix, policy},
    soon,
};

/// A program that reads the head of a request, answers with these bytes, and reads on.
async fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bytes = Arc::new(bytes.into());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                head(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    address
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_not_passed_on() {
    let cases = [
        (
            "two framings",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n14\r\ntwenty bytes of text\r\n0\r\n\r\n",
        ),
        (
            "two framings, turned",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("a list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok"),
        ("a length twice", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
        ("a length with a sign", "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok"),
        ("another coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (
            "chunked twice",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nx: 1\r\n content-length: 2\r\n\r\nok"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok"),
        ("a NUL", "HTTP/1.1 200 OK\r\nx: \0\r\n\r\nok"),
        (
            "another protocol, unasked",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n",
        ),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ];
    for (sentence, bytes) in cases {
        let mesh = Mesh::new(answering(bytes).await, Door::to_members()).await;
        let answer = mesh.caller(Version::HTTP_11).await.get("http://cart.shop/").await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (502, "bad-answer"), "{sentence}: {answer:?}");
        let detail = answer.problem()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("the program of shop/cart gave no answer"), "{sentence}: {detail}");
        assert!(!answer.body.contains("127.0.0.1"), "{sentence}: {answer:?}");
    }
}

#[tokio::test]
async fn interim_answers_come_to_an_end() {
    let few =
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10) + "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let mesh = Mesh::new(answering(few).await, Door::to_members()).await;
    assert_eq!(mesh.caller(Version::HTTP_11).await.get("http://cart.shop/").await.body, "ok");
    let large = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(40 << 10)).repeat(2);
    for flood in ["HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000), large] {
        let mesh = Mesh::new(answering(flood).await, Door::to_members()).await;
        let answer = mesh.caller(Version::HTTP_11).await.get("http://cart.shop/").await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (502, "bad-answer"), "{answer:?}");
        let gone = async || (mesh.cart.metric("sluice_upstream_connections") == 0).then_some(());
        eventually("the end of the connection", gone).await;
    }
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_the_mesh() {
    let forger = program(|_| async {
        let answer = Response::builder().status(403).header("proxy-status", "sluice; error=http_request_denied");
        answer.header("proxy-status", "cdn; received-status=403").body(empty()).unwrap()
    });
    let mesh = Mesh::new(forger.await, Door { normalised: true, ..Door::to_members() }).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let answer = mesh.caller(version).await.get("http://cart.shop/").await;
        assert_eq!((answer.status, answer.header("proxy-status")), (403, "cdn; received-status=403"));
        let refused = mesh.caller(version).await.get("http://cart.shop/%2F").await;
        assert_eq!(refused.header("proxy-status"), "sluice; error=http_request_error", "ours is passed on");
    }
}

#[tokio::test]
async fn a_body_arrives_whatever_the_method() {
    let count = program(|request| async move {
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(format!("{method} {}", body.len())))
    })
    .await;
    let mesh = Mesh::new(count, Door::to_members()).await;
    for method in ["GET", "DELETE", "OPTIONS", "POST", "QUERY"] {
        let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
        let sent = format!(
            "{method} / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with(&format!("{method} 5")), "{answer}");
        let request = Request::builder().method(method).uri("http://cart.shop/").body(full("hello")).unwrap();
        let answer = Answer::of(mesh.caller(Version::HTTP_2).await.send(request).await).await;
        assert_eq!(answer.body, format!("{method} 5"));
    }
}

#[tokio::test]
async fn an_answer_that_is_there_is_delivered_whatever_is_still_being_sent() {
    const LARGE: usize = 1 << 20;
    let deny = vec![("shop/no-uploads/0".into(), policy(anyone(), path_prefix("/denied/")))];
    let door = || Door { normalised: true, deny: deny.clone(), ..Door::to_members() };
    let early = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    let too_large = program(|_| async { Response::builder().status(413).body(full("no")).unwrap() });
    let http1 = Mesh::new(answering(early).await, door()).await;
    let http2 = Mesh::new(too_large.await, door()).await;
    let post = |path: &str| {
        let request = Request::post(format!("http://cart.shop{path}")).header("host", "cart.shop");
        request.body(full(vec![b'x'; LARGE])).unwrap()
    };
    for (mesh, version) in [(http1, Version::HTTP_11), (http2, Version::HTTP_2)] {
        for turn in 0..10 {
            for (path, status) in [("/denied/x", 403), ("/large", 413)] {
                let mut caller = mesh.caller(version).await;
                let answer =
                    caller.try_send(post(path)).await.unwrap_or_else(|error| panic!("{version:?} {path}: {error}"));
                assert_eq!(Answer::of(answer).await.status, status, "{version:?} {path}, turn {turn}");
            }
            let mut caller = mesh.caller(version).await;
            let nowhere = Request::post("http://10.0.0.1/").header("host", "10.0.0.1").body(full(vec![b'x'; LARGE]));
            assert_eq!(Answer::of(caller.send(nowhere.unwrap()).await).await.status, 502, "{version:?}, turn {turn}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_refused_is_answered_and_counted() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let large = format!("GET / HTTP/1.1\r\nhost: cart.shop\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    for (sent, status, reason) in [(large.as_str(), "431", "too_large"), ("GET / HTTP/9\r\n\r\n", "400", "unreadable")]
    {
        let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut answer = String::new();
        let (_, end) = tokio::join!(write.write_all(sent.as_bytes()), read.read_to_string(&mut answer));
        assert!(end.is_ok() && answer.starts_with(&format!("HTTP/1.1 {status} ")), "{end:?} {answer}");
        let series = format!("sluice_refused_heads_total{{listener=\"outbound\",reason=\"{reason}\"}}");
        eventually(reason, async || (mesh.web.metric(&series) == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn a_head_may_have_hundreds_of_lines() {
    let many = program(|request| async move {
        let mut answer = Response::builder().header("x-count", request.headers().len());
        for line in 0..400 {
            answer = answer.header(format!("x-{line}"), "1");
        }
        answer.body(empty()).unwrap()
    })
    .await;
    let mesh = Mesh::new(many, Door::to_members()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut request = Request::get("http://cart.shop/").header("host", "cart.shop");
        for line in 0..400 {
            request = request.header(format!("x-{line}"), "1");
        }
        let answer = Answer::of(mesh.caller(version).await.send(request.body(empty()).unwrap()).await).await;
        assert_eq!(answer.status, 200, "{version:?}");
        assert!(answer.header("x-count").parse::<usize>().unwrap() > 400 - 1 && answer.headers.len() > 400);
    }
}

#[tokio::test]
async fn whoever_asks_for_the_head_alone_gets_no_body_from_us_either() {
    let mesh = Mesh::new(named("cart").await, Door { normalised: true, ..Door::to_members() }).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut caller = mesh.caller(version).await;
        for url in ["http://nothing.at.all/", "http://cart.shop/%2F"] {
            let head = |method: &str| {
                let authority = url.parse::<http::Uri>().unwrap().authority().unwrap().to_string();
                let request = Request::builder().method(method).uri(url).header("host", authority);
                request.body(empty()).unwrap()
            };
            let whole = Answer::of(caller.send(head("GET")).await).await;
            let alone = Answer::of(caller.send(head("HEAD")).await).await;
            assert_eq!((alone.status, alone.body.as_str()), (whole.status, ""), "{version:?} {url}");
            assert_eq!(alone.header("content-length"), whole.body.len().to_string(), "{version:?} {url}");
        }
        assert_eq!(caller.get("http://cart.shop/").await.status, 200, "the connection is in order");
    }
}

#[tokio::test]
async fn whether_a_body_is_wanted_the_program_says() {
    let refuses = answering("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno").await;
    let mesh = Mesh::new(refuses, Door::to_members()).await;
    for _ in 0..2 {
        let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
        let sent = "POST / HTTP/1.1\r\nhost: cart.shop\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the end", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 417 ") && answer.ends_with("\r\n\r\nno"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "what would come next can be read in two ways: {answer}");
    }
    let idle = async || (mesh.cart.metric("sluice_upstream_connections") == 0).then_some(());
    eventually("the end of connections that wait for a body", idle).await;
}

#[tokio::test]
async fn a_program_that_knows_nothing_of_leave_gets_its_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                head(&mut stream).await;
                let mut body = [0; 5];
                if stream.read_exact(&mut body).await.is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
                    let _ = stream.write_all(&body).await;
                }
                let _ = stream.read_u8().await;
            });
        }
    });
    let mesh = Mesh::new(address, Door::to_members()).await;
    let mut stream = TcpStream::connect(mesh.web.outbound).await.unwrap();
    let sent = "POST / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello";
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn the_server_as_a_whole_is_asked_as_such() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let star = http::Uri::builder().scheme("http").authority("cart.shop").path_and_query("*").build().unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let uri = if version == Version::HTTP_2 { star.clone() } else { "*".parse().unwrap() };
        let request = Request::options(uri).header("host", "cart.shop").body(empty()).unwrap();
        let answer = Answer::of(mesh.caller(version).await.send(request).await).await;
        assert_eq!(answer.status, 200, "{version:?} {answer:?}");
        assert!(answer.body.ends_with('*'), "{version:?} {answer:?}");
    }
}

#[tokio::test]
async fn hops_are_counted() {
    let echo = program(|request| async move {
        let left = request.headers().get("max-forwards").map_or("", |left| left.to_str().unwrap()).to_owned();
        Response::new(full(left))
    });
    let mesh = Mesh::new(echo.await, Door::to_members()).await;
    let cases = [
        ("OPTIONS", "0", 204, ""),
        ("OPTIONS", "1", 204, ""),
        ("OPTIONS", "2", 200, "0"),
        ("TRACE", "0", 405, "no-trace"),
        ("TRACE", "1", 405, "no-trace"),
        ("TRACE", "5", 200, "3"),
        ("GET", "0", 200, "0"),
    ];
    for (method, left, status, told) in cases {
        let request = Request::builder().method(method).uri("http://cart.shop/").header("host", "cart.shop");
        let request = request.header("max-forwards", left).body(empty()).unwrap();
        let answer = Answer::of(mesh.caller(Version::HTTP_11).await.send(request).await).await;
        assert_eq!(answer.status, status, "{method} {left} {answer:?}");
        assert!(answer.body.contains(told), "{method} {left} {answer:?}");
    }
}

#[tokio::test]
async fn every_request_is_counted_once_as_what_it_was() {
    let program = program(|request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Response::new(full("ok"))
    });
    let deny = vec![("shop/no/0".into(), policy(anyone(), path_prefix("/denied")))];
    let mesh = Mesh::new(program.await, Door { normalised: true, deny, ..Door::to_members() }).await;
    let grpc = Request::post("http://cart.shop/denied").header("content-type", "application/grpc");
    let answer = mesh.caller(Version::HTTP_2).await.send(grpc.body(empty()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"7".parse().unwrap()));
    assert_eq!(
        mesh.cart.metric("sluice_inbound_requests_total{status_class=\"4xx\"}"),
        1,
        "an error, whatever it looks like"
    );
    assert_eq!(mesh.cart.metric("sluice_inbound_requests_total{status_class=\"2xx\"}"), 0);
    let web = mesh.web.outbound;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let call = tokio::spawn(async move { Client::plain(web, version).await.get("http://cart.shop/never").await });
        eventually("the call", async || (mesh.cart.in_flight.inside() == 1).then_some(())).await;
        call.abort();
        eventually("its end", async || (mesh.cart.in_flight.inside() == 0).then_some(())).await;
    }
    let gone = async || (mesh.cart.metric("sluice_inbound_requests_total{status_class=\"gone\"}") == 2).then_some(());
    eventually("the callers that left", gone).await;
    let series =
        format!("sluice_outbound_requests_total{{service=\"{CART}\",backend=\"{CART}\",status_class=\"gone\"}}");
    assert_eq!(mesh.web.metric(&series), 2);
}

#[tokio::test]
async fn one_request_goes_by_one_configuration() {
    let mesh = Mesh::new(named("old").await, Door::to_members()).await;
    let new = Mesh::new(named("new").await, Door::to_members()).await;
    let bounds = crate::support::mesh::Bounds { patience: Duration::from_secs(20), ..Default::default() };
    let resources = to_cart(&[mesh.cart.inbound]);
    // The route is known, and where it leads is not.
    let credentials = mesh.pki.credentials("shop/job");
    let job = crate::support::mesh::Sidecar::bounded(credentials, mesh.cart.inbound, &resources[..2], bounds).await;
    let outbound = job.outbound;
    let call = tokio::spawn(async move { Client::plain(outbound, Version::HTTP_11).await.get("http://cart/").await });
    eventually("the call", async || job.is_called(CART).then_some(())).await;
    // Meanwhile calls go elsewhere, and where they went before is known as well.
    let mut resources = to_cart(&[mesh.cart.inbound]);
    let moved = "moved.shop:80";
    resources[1] = crate::support::resources::routes(CART, &[(moved, 1)]);
    resources.push(crate::support::resources::cluster(moved, crate::support::resources::Speaks::Plaintext));
    resources.push(crate::support::resources::endpoints(moved, &[named("moved").await]));
    job.swap(&resources);
    assert_eq!(call.await.unwrap().header("x-program"), "moved");
    drop(new);
}

#[tokio::test]
async fn what_is_not_of_the_mesh_is_answered_as_nobody_else_would() {
    let mesh = Mesh::new(named("cart").await, Door::to_members()).await;
    let mut config = (**mesh.web.config.now().told()).clone();
    config.services.insert("example.com:80".into(), sluice_proxy::config::Answer::Absent);
    mesh.web.put_in_force(config);
    for url in ["http://example.com/", "http://www.example.com/", "http://192.0.2.1/"] {
        let answer = mesh.caller(Version::HTTP_11).await.get(url).await;
        assert_eq!((answer.status, answer.problem_code().as_str()), (502, "no-service"), "{url}");
        assert_eq!(answer.header("proxy-status"), "sluice; error=destination_not_found", "{url}");
    }
    let tunnel = Request::connect("example.com:80").body(empty()).unwrap();
    let answer = Answer::of(mesh.caller(Version::HTTP_11).await.send(tunnel).await).await;
    assert_eq!((answer.status, answer.problem_code().as_str()), (502, "no-service"), "no tunnel to nowhere");
}
