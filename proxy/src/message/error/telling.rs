//! How a fault is told: as a problem document (RFC 9457), or in gRPC's form, and no more than the caller may hear.

use serde_json::{Value, json};

use super::{Denial, ProxyError};
use crate::message::{Body, HeaderValue, Response, StatusCode, header, headers::UNTOUCHED};

/// How much a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience {
    /// It may hear why. Who has not proved an identity hears the status alone.
    pub trusted: bool,
    /// It is a sidecar: where nothing was done with its request, it can go elsewhere, and takes that out.
    pub sidecar: bool,
    /// It speaks gRPC.
    pub grpc: bool,
}

impl ProxyError {
    /// What the caller is told: a problem document (RFC 9457), or gRPC's form of one.
    pub fn respond(&self, audience: Audience) -> Response {
        let detail = if audience.trusted { self.to_string() } else { String::new() };
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.insert("proxy-status", HeaderValue::from_static(self.reason().proxy_status()));
        if audience.sidecar && self.reason().is_untouched() {
            headers.insert(UNTOUCHED, HeaderValue::from_static("1"));
        }
        if audience.grpc {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from(grpc_status(self.reason().status())));
            let message = HeaderValue::try_from(percent_encode(&detail));
            if let (false, Ok(message)) = (detail.is_empty(), message) {
                headers.insert("grpc-message", message);
            }
            return response;
        }
        *response.status_mut() = self.reason().status();
        if matches!(self, Self::Tunnel { .. } | Self::NoTrace) {
            response.headers_mut().insert(header::ALLOW, ALLOWED);
        }
        if audience.trusted {
            let problem = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(header::CONTENT_TYPE, problem);
            *response.body_mut() = Body::full(self.problem(&detail).to_string());
        }
        response
    }

    pub(super) fn problem(&self, detail: &str) -> Value {
        let reason = self.reason();
        let mut problem = json!({
            "type": format!("urn:sluice:problem:{}", reason.code()),
            "title": reason.title(),
            "status": reason.status().as_u16(),
            "detail": detail,
        });
        if let Self::Denied(denial) = self {
            let Denial { workload, rule, closed_by, .. } = &**denial;
            problem["verdict"] = json!({ "decision": "deny", "rule": rule, "closedBy": closed_by });
            problem["workload"] = json!(workload);
        }
        problem
    }
}

/// The methods that pass here, if the program has them.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The answer to OPTIONS of whoever asks for that of the hop on the way that this sidecar is (RFC 9110 §7.6.2).
pub fn options() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    response
}

/// The nearest word of gRPC (google.rpc.Code).
fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 3,
        403 => 7,
        404 => 5,
        405 | 501 => 12,
        502 | 503 => 14,
        504 => 4,
        _ => 13,
    }
}

/// As gRPC wants messages: printable ASCII, the rest and `%` escaped.
pub(super) fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
