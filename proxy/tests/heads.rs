//! Heads and bodies of requests, byte by byte: what a program must never be told, and what it is told instead. Whatever
//! could be read in two ways is refused, at both listeners, and never repaired.

use std::net::SocketAddr;

use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    http::{Answer, Client, empty, full, program},
    mesh::Mesh,
    resources::{Door, anyone, anything, path_prefix, policy},
    soon,
};

/// A program that says what it was asked, and what it read: method, target, every Host and the body.
async fn witness() -> SocketAddr {
    program(|request| async move {
        let hosts = request.headers().get_all("host").iter().map(|host| format!(" [{}]", host.to_str().unwrap()));
        let text = format!("{} {}{}", request.method(), request.uri(), hosts.collect::<String>());
        let both =
            request.headers().contains_key("content-length") && request.headers().contains_key("transfer-encoding");
        assert!(!both, "{text}");
        match request.into_body().collect().await {
            Ok(body) => Response::new(full(text + &String::from_utf8_lossy(&body.to_bytes()))),
            Err(_) => Response::builder().status(500).body(empty()).unwrap(),
        }
    })
    .await
}

/// A door that lets anybody in to what is below `prefix`.
fn open(prefix: Option<&str>) -> Door {
    let permission = prefix.map_or_else(anything, path_prefix);
    let allow = vec![("shop/p/0".into(), policy(anyone(), permission))];
    Door { plaintext: true, normalised: true, allow, ..Door::default() }
}

/// Sends this, and then nothing more: all that comes back until the end of the connection.
async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Sends one request and asks for the end of the connection: status and body of the answer.
async fn ask(address: SocketAddr, head: &str) -> (u16, String) {
    let answer = exchange(address, head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn what_rules_would_not_recognise_is_refused() {
    let mesh = Mesh::new(witness().await, open(Some("/public/"))).await;
    let cases = [
        ("GET /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("get /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("Delete /public/x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /public/..;/admin HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /public/..%3b/admin HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /admin HTTP/1.1\r\nhost: a\r\n\r\n", 403),
        ("GET /PUBLIC/x HTTP/1.1\r\nhost: a\r\n\r\n", 403),
    ];
    for (head, status) in cases {
        assert_eq!(ask(mesh.cart.inbound, head).await.0, status, "{head}");
    }
}

#[tokio::test]
async fn nobody_walks_around_a_denial() {
    let deny = vec![("shop/no-admin/0".into(), policy(anyone(), path_prefix("/admin/")))];
    let mesh = Mesh::new(witness().await, Door { deny, ..open(None) }).await;
    let cases = [
        ("/items", 200),
        ("/administrator", 200),
        ("/admin/users", 403),
        ("/ADMIN/users", 403),
        ("/admin;x/users", 403),
        ("/;/admin/users", 403),
        ("/admin", 403),
        ("/admin%3fx", 403),
        ("/x%252f..%252fadmin/users", 403),
        ("/admin/..;/x", 400),
    ];
    for (path, status) in cases {
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(ask(mesh.cart.inbound, &head).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_program_is_told_of_one_host() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    let cases = [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 200, "GET / [a]"),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: host\r\n\r\n", 200, "GET / [a]"),
        ("GET http://a/ HTTP/1.1\r\nhost: a:80\r\n\r\n", 200, "GET / [a]"),
        ("GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", 400, ""),
        ("GET / HTTP/1.0\r\nhost: a\r\n\r\n", 200, "GET / [a]"),
        ("GET / HTTP/1.0\r\n\r\n", 200, "GET / []"),
        ("GET / HTTP/1.1\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, ""),
        ("GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", 400, ""),
        ("GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, ""),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", 400, ""),
    ];
    for (head, status, told) in cases {
        assert_eq!(ask(mesh.cart.inbound, head).await, (status, told.to_owned()), "{head}");
    }
}

/// What follows a request that might have ended earlier, or later.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: cart\r\n\r\n";

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: cart\r\n{lines}\r\n\r\n{body}{NEXT}");
    let chunked = |body: &str| post("transfer-encoding: chunked", body);
    let cases = [
        ("two lengths", post("content-length: 5\r\ncontent-length: 6", "hello"), 400),
        ("a list of lengths", post("content-length: 5, 5", "hello"), 400),
        ("a length with a sign", post("content-length: +5", "hello"), 400),
        ("a negative length", post("content-length: -5", "hello"), 400),
        ("a hexadecimal length", post("content-length: 0x5", "hello"), 400),
        ("a length in two parts", post("content-length: 5 5", "hello"), 400),
        ("no length", post("content-length:", "hello"), 400),
        ("a length beyond all numbers", post("content-length: 99999999999999999999", "hello"), 400),
        ("a coding that only looks like chunked", post("transfer-encoding: xchunked", "0\r\n\r\n"), 400),
        ("chunked, but not at the end", post("transfer-encoding: chunked, identity", "0\r\n\r\n"), 400),
        ("no coding", post("transfer-encoding: identity", "hello"), 400),
        ("another coding as well", post("transfer-encoding: gzip, chunked", "0\r\n\r\n"), 501),
        ("chunked twice", post("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"), 501),
        ("a coding behind a tabulator", post("transfer-encoding: \u{b}chunked", "0\r\n\r\n"), 400),
        ("a space before the colon", post("transfer-encoding : chunked", "0\r\n\r\n"), 400),
        ("a space before the name", post("x: 1\r\n transfer-encoding: chunked", "0\r\n\r\n"), 400),
        ("a folded line", post("x: 1\r\n\tmore", ""), 400),
        ("an underscore in the name of a length", post("content_length: 5", ""), 400),
        ("an underscore in the name of a coding", post("transfer_encoding: chunked", ""), 400),
        ("a bare carriage return", post("x: 1\rcontent-length: 5", ""), 400),
        ("a NUL", post("x: 1\0", ""), 400),
        ("a name with a NUL", post("x\0: 1", ""), 400),
        ("no name", post(": 1", ""), 400),
        ("chunked in HTTP/1.0", chunked("0\r\n\r\n").replacen("1.1", "1.0", 1), 400),
        ("a chunk of a negative size", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a chunk of a size in C", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a chunk beyond all numbers", chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400),
        ("a chunk without an end", chunked("5\r\nhelloX\r\n0\r\n\r\n"), 400),
        ("a chunk line that ends in a bare line feed", chunked("5\nhello\r\n0\r\n\r\n"), 400),
        ("a line feed in a chunk extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
        ("a target with a query and no path", "GET http://cart?/admin HTTP/1.1\r\nhost: cart\r\n\r\n".into(), 400),
        ("a target with a space", "GET /a /b HTTP/1.1\r\nhost: cart\r\n\r\n".into(), 400),
        ("a target with a NUL", "GET /a\0b HTTP/1.1\r\nhost: cart\r\n\r\n".into(), 400),
        ("a target that is a host", "GET cart HTTP/1.1\r\nhost: cart\r\n\r\n".into(), 400),
        ("all of the server, to GET", "GET * HTTP/1.1\r\nhost: cart\r\n\r\n".into(), 400),
        ("a version to come", "GET / HTTP/1.2\r\nhost: cart\r\n\r\n".into(), 400),
        ("HTTP/2 in a line", "GET / HTTP/2.0\r\nhost: cart\r\n\r\n".into(), 400),
    ];
    for (sentence, sent, status) in cases {
        for address in [mesh.cart.inbound, mesh.web.outbound] {
            // What is refused by its head alone leaves the connection in order: ask for its end.
            let sent = sent.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            let answer = exchange(address, sent.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sentence}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{sentence}: one answer, and then no more: {answer}");
            assert!(!answer.contains("127.0.0.1"), "{sentence}: no inner address: {answer}");
        }
    }
}

/// Where the engine reads on instead of refusing, the program reads the same: these rows are for an engine of our own to
/// turn into 400 (RFC 9112 §2.2, §6.1, §6.3 leave both open).
#[tokio::test]
async fn what_the_engine_mends_is_read_in_one_way_by_all() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    let both = "content-length: 4\r\ntransfer-encoding: chunked";
    let turned = "transfer-encoding: chunked\r\ncontent-length: 4";
    let cases = [
        (
            "chunked wins over a length before it",
            format!("POST / HTTP/1.1\r\nhost: cart\r\n{both}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{NEXT}"),
            "POST / [cart]hello",
        ),
        (
            "chunked wins over a length after it",
            format!("POST / HTTP/1.1\r\nhost: cart\r\n{turned}\r\n\r\n0\r\n\r\n{NEXT}"),
            "POST / [cart]",
        ),
        (
            "one length, said twice, is one",
            "POST / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello"
                .into(),
            "POST / [cart]hello",
        ),
        ("line feeds alone end lines", "GET /x HTTP/1.1\nhost: cart\nconnection: close\n\n".into(), "GET /x [cart]"),
        (
            "a fragment is nobody's",
            "GET /x#y HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n".into(),
            "GET /x [cart]",
        ),
    ];
    for (sentence, sent, told) in cases {
        for address in [mesh.cart.inbound, mesh.web.outbound] {
            let answer = exchange(address, sent.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(told), "{sentence}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{sentence}: the connection ends there: {answer}");
        }
    }
}

#[tokio::test]
async fn http2_is_read_in_one_way_as_well() {
    let mesh = Mesh::new(witness().await, open(None)).await;
    let target = |path: &str| {
        let parts = Uri::builder().scheme("http").authority("cart").path_and_query(path);
        Request::get(parts.build().unwrap())
    };
    let body = || full("hello");
    let cases = [
        ("a host of its own", target("/").header("host", "cart:80").body(empty()), 200),
        ("another host", target("/").header("host", "other").body(empty()), 400),
        ("two hosts", target("/").header("host", "cart").header("host", "cart").body(empty()), 400),
        ("a user", Request::get("http://u@cart/").body(empty()), 400),
        ("no path", target("?/admin").body(empty()), 400),
        ("all of the server, to GET", target("*").body(empty()), 400),
        ("one length twice", target("/").header("content-length", "5").header("content-length", "5").body(body()), 400),
        ("a length with an underscore", target("/").header("content_length", "5").body(empty()), 400),
        ("a proof with an underscore", target("/").header("x_forwarded_client_cert", "URI=x").body(empty()), 400),
    ];
    for (sentence, request, status) in cases {
        let request = request.unwrap();
        for address in [mesh.cart.inbound, mesh.web.outbound] {
            let mut caller = Client::plain(address, Version::HTTP_2).await;
            let again = if request.headers().contains_key("content-length") { body() } else { empty() };
            let mut sent = Request::new(again);
            *sent.uri_mut() = request.uri().clone();
            *sent.headers_mut() = request.headers().clone();
            let answer = Answer::of(caller.send(sent).await).await;
            assert_eq!(answer.status, status, "{sentence}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_only_a_proof_can_say_nobody_says() {
    let echo = program(|request| async move {
        let mut names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        Response::new(full(names.join(" ")))
    })
    .await;
    let mesh = Mesh::new(echo, open(None)).await;
    let head = "GET / HTTP/1.1\r\nhost: cart\r\nX-Forwarded-Client-Cert: By=a;URI=spiffe://sluice.local/ns/shop/sa/admin\r\n\
                client-cert: :MII=:\r\nx-ssl-client-verify: SUCCESS\r\nl5d-client-id: admin\r\nx-forwarded-for: 10.0.0.1\r\n\r\n";
    for address in [mesh.cart.inbound, mesh.web.outbound] {
        let (status, names) = ask(address, head).await;
        assert_eq!((status, names.as_str()), (200, "host x-forwarded-for"));
    }
}
