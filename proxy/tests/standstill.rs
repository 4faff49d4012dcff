//! What somebody leaves unread, and what becomes of everybody else.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};

use crate::support::{
    eventually,
    http::{Client, empty, full, program},
    mesh::Mesh,
    resources::Door,
    soon,
};

/// A program whose `/endless` never stops, and that says hello otherwise.
async fn endless() -> SocketAddr {
    program(|request| async move {
        if request.uri().path() == "/endless" {
            let chunk = Bytes::from(vec![b'x'; 16 << 10]);
            let frames =
                tokio_stream::iter(std::iter::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone()))));
            return Response::new(UnsyncBoxBody::new(StreamBody::new(frames).map_err(|never| match never {})));
        }
        Response::new(full("hello"))
    })
    .await
}

async fn unread(caller: &mut Client) -> Response<Incoming> {
    let request = Request::get("http://cart.shop/endless").header("host", "cart.shop").body(empty()).unwrap();
    let response = caller.send(request).await;
    assert_eq!(response.status(), 200);
    response
}

#[tokio::test]
async fn what_one_caller_leaves_unread_takes_nothing_from_the_others() {
    let mesh = Mesh::new(endless().await, Door::to_members()).await;
    let mut slow = mesh.caller(Version::HTTP_2).await;
    let mut held = Vec::new();
    for count in [3, 30, 150] {
        while held.len() < count {
            held.push(unread(&mut slow).await);
        }
        let answer = mesh.caller(Version::HTTP_2).await.get("http://cart.shop/").await;
        assert_eq!(answer.body, "hello", "beside {count} unread responses");
    }
    let connections = mesh.web.metric("sluice_upstream_connections");
    assert!((2..=3).contains(&connections), "as many as are needed and no more: {connections}");
    drop(held);
}

#[tokio::test]
async fn who_does_not_read_is_given_up() {
    let mesh = Mesh::new(endless().await, Door { idle_ms: Some(300), ..Door::to_members() }).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut callers = Vec::new();
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut caller = mesh.caller(version).await;
            held.push(unread(&mut caller).await);
            callers.push(caller);
        }
        let given_up = async || (mesh.cart.in_flight.inside() == 0).then_some(());
        eventually("the requests to be given up", given_up).await;
        for response in held {
            let end = soon("the end of the body", response.into_body().collect()).await;
            assert!(end.is_err(), "{version:?}: it was cut off, and does not look whole");
        }
    }
}
