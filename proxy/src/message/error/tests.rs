//! A table of what callers are told.

use serde_json::json;

use super::{telling::percent_encode, *};

const TRUSTED: Audience = Audience { trusted: true, sidecar: false, grpc: false };

fn every_error() -> Vec<(ProxyError, u16, u16, &'static str)> {
    let whom = || "the program of shop/cart".to_owned();
    let io = || io::Error::other("because");
    let authority = || "cart.shop:80".to_owned();
    vec![
        (ProxyError::BadRequest("no host".into()), 400, 3, "http_request_error"),
        (ProxyError::BadPath(BadPath::EncodedSlash), 400, 3, "http_request_error"),
        (BadHead::BadHost.into(), 400, 3, "http_request_error"),
        (BadHead::Coding.into(), 501, 12, "http_request_error"),
        (ProxyError::Tunnel { authority: authority() }, 405, 12, "http_request_error"),
        (ProxyError::BadBody, 400, 3, "http_request_error"),
        (ProxyError::NoTrace, 405, 12, "http_request_error"),
        (ProxyError::NoService { authority: authority() }, 502, 14, "destination_not_found"),
        (ProxyError::NoRoute { authority: authority(), path: "/x".into() }, 404, 5, "http_request_error"),
        (ProxyError::BadAnswer { whom: whom(), fault: BadAnswer::Unreadable }, 502, 14, "http_protocol_error"),
        (denied(), 403, 7, "http_request_denied"),
        (ProxyError::Expired, 403, 7, "http_request_denied"),
        (
            ProxyError::MissingBackend { authority: authority(), backend: "b".into(), status: 500 },
            500,
            13,
            "proxy_configuration_error",
        ),
        (
            ProxyError::RouteAnswers { authority: authority(), route: "r".into(), status: 500 },
            500,
            13,
            "proxy_configuration_error",
        ),
        (ProxyError::NoEndpoint { backend: "b".into() }, 503, 14, "destination_unavailable"),
        (ProxyError::Overloaded, 503, 14, "connection_limit_reached"),
        (ProxyError::NoConfiguration { of: authority(), why: NOT_TOLD }, 503, 14, "proxy_configuration_error"),
        (ProxyError::Connect { whom: whom(), source: io() }, 502, 14, "connection_refused"),
        (ProxyError::ConnectTimeout { whom: whom() }, 504, 4, "connection_timeout"),
        (ProxyError::Tls { whom: whom(), source: io() }, 502, 14, "tls_certificate_error"),
        (ProxyError::Reset { whom: whom(), reason: "gone".into() }, 502, 14, "connection_terminated"),
        (ProxyError::Idle, 504, 4, "http_response_timeout"),
    ]
}

fn denied() -> ProxyError {
    ProxyError::Denied(Box::new(Denial {
        caller: Caller::Proven(SpiffeId::parse("spiffe://sluice.local/ns/shop/sa/job").unwrap()),
        method: "GET".into(),
        path: "/items".into(),
        workload: "shop/cart-v1".into(),
        why: "no rule of shop/cart-from-web names it".into(),
        rule: None,
        closed_by: vec!["shop/cart-from-web".into()],
    }))
}

#[test]
fn every_error_has_its_status_in_both_tongues() {
    for (error, status, grpc, word) in every_error() {
        let response = error.respond(TRUSTED);
        assert_eq!(response.status().as_u16(), status, "{error}");
        assert_eq!(response.headers()["proxy-status"], format!("sluice; error={word}"), "{error}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{error}");
        let response = error.respond(Audience { grpc: true, ..TRUSTED });
        assert_eq!(response.status().as_u16(), 200, "{error}");
        assert_eq!(response.headers()["grpc-status"], grpc.to_string(), "{error}");
        assert_eq!(response.headers()["grpc-message"], percent_encode(&error.to_string()), "{error}");
    }
}

#[test]
fn who_has_proved_nothing_is_told_nothing() {
    for (error, ..) in every_error() {
        let response = error.respond(Audience { trusted: false, sidecar: false, grpc: false });
        assert!(http_body::Body::is_end_stream(response.body()), "{error}");
        assert!(!response.headers().contains_key("content-type"), "{error}");
        let response = error.respond(Audience { trusted: false, sidecar: false, grpc: true });
        assert!(!response.headers().contains_key("grpc-message"), "{error}");
    }
}

#[test]
fn a_denial_names_the_verdict() {
    let error = denied();
    assert_eq!(
        error.problem(&error.to_string()),
        json!({
            "type": "urn:sluice:problem:denied",
            "title": "Denied",
            "status": 403,
            "detail": "spiffe://sluice.local/ns/shop/sa/job may not GET /items at shop/cart-v1: \
                       no rule of shop/cart-from-web names it",
            "verdict": { "decision": "deny", "rule": null, "closedBy": ["shop/cart-from-web"] },
            "workload": "shop/cart-v1",
        })
    );
}

#[test]
fn messages_survive_grpc() {
    assert_eq!(percent_encode("50 % of caf\u{e9}\n"), "50 %25 of caf%C3%A9%0A");
}
