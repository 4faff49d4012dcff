//! Why a request failed here, as machines know it: small, copied, and apart from the words that people get for it
//! ([`super::error`]). One row says all of a reason.

use http::StatusCode;

/// Why a request failed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "`ProxyError` says what each means, beside what it has to tell")]
pub enum Reason {
    BadRequest,
    BadPath,
    TransferCoding,
    BadBody,
    NoTrace,
    Tunnel,
    CarriesBytes,
    CarriesRequests,
    NoService,
    NoRoute,
    Denied,
    Expired,
    Distrusted,
    /// With the status that its route says.
    MissingBackend(u16),
    /// With the status that its route says.
    RouteAnswers(u16),
    NoEndpoint,
    Overloaded,
    NoConfiguration,
    Connect,
    ConnectTimeout,
    Tls,
    Refused,
    Reset,
    BadAnswer,
    Idle,
}

/// All that is said of a reason.
#[derive(Clone, Copy, Debug)]
struct Row {
    code: &'static str,
    title: &'static str,
    status: u16,
    proxy_status: &'static str,
    untouched: bool,
}

/// What Proxy-Status says (RFC 9209 §2.3).
mod say {
    pub(super) const REQUEST: &str = "sluice; error=http_request_error";
    pub(super) const DENIED: &str = "sluice; error=http_request_denied";
    pub(super) const NOT_FOUND: &str = "sluice; error=destination_not_found";
    pub(super) const CONFIGURATION: &str = "sluice; error=proxy_configuration_error";
    pub(super) const UNAVAILABLE: &str = "sluice; error=destination_unavailable";
    pub(super) const LIMIT: &str = "sluice; error=connection_limit_reached";
    pub(super) const REFUSED: &str = "sluice; error=connection_refused";
    pub(super) const TIMEOUT: &str = "sluice; error=connection_timeout";
    pub(super) const TLS: &str = "sluice; error=tls_certificate_error";
    pub(super) const TERMINATED: &str = "sluice; error=connection_terminated";
    pub(super) const PROTOCOL: &str = "sluice; error=http_protocol_error";
    pub(super) const RESPONSE_TIMEOUT: &str = "sluice; error=http_response_timeout";
}

impl Reason {
    const fn row(self) -> Row {
        match self {
            Self::BadRequest => row("bad-request", "Bad request", 400, say::REQUEST),
            Self::BadPath => row("bad-path", "Bad path", 400, say::REQUEST),
            Self::TransferCoding => row("transfer-coding", "No such transfer coding here", 501, say::REQUEST),
            Self::BadBody => row("bad-body", "Bad body", 400, say::REQUEST),
            Self::NoTrace => row("no-trace", "No trace here", 405, say::REQUEST),
            Self::Tunnel => row("no-tunnel", "No tunnels here", 405, say::REQUEST),
            Self::CarriesBytes => row("carries-bytes", "No requests here", 502, say::CONFIGURATION),
            Self::CarriesRequests => row("carries-requests", "No bytes here", 502, say::CONFIGURATION),
            // Not 404: callers would take that for an answer of whom they meant.
            Self::NoService => row("no-service", "No such service", 502, say::NOT_FOUND),
            Self::NoRoute => row("no-route", "No route", 404, say::REQUEST),
            Self::Denied => row("denied", "Denied", 403, say::DENIED),
            Self::Expired => row("expired", "Certificate expired", 403, say::DENIED),
            Self::Distrusted => row("distrusted", "Certificate no longer trusted", 403, say::DENIED),
            Self::MissingBackend(status) => row("missing-backend", "Missing backend", status, say::CONFIGURATION),
            Self::RouteAnswers(status) => row("route-answers", "Answered by the route", status, say::CONFIGURATION),
            Self::NoEndpoint => row("no-endpoint", "No healthy endpoint", 503, say::UNAVAILABLE),
            Self::Overloaded => untouched(row("overloaded", "Overloaded", 503, say::LIMIT)),
            Self::NoConfiguration => untouched(row("no-configuration", "No configuration", 503, say::CONFIGURATION)),
            Self::Connect => untouched(row("connect-failed", "Cannot connect", 502, say::REFUSED)),
            Self::ConnectTimeout => untouched(row("connect-timeout", "Connecting took too long", 504, say::TIMEOUT)),
            Self::Tls => untouched(row("tls-failed", "No mutual TLS", 502, say::TLS)),
            Self::Refused => untouched(row("refused", "Refused", 503, say::UNAVAILABLE)),
            Self::Reset => row("connection-broken", "Connection broken", 502, say::TERMINATED),
            Self::BadAnswer => row("bad-answer", "Bad answer", 502, say::PROTOCOL),
            Self::Idle => row("idle-timeout", "Nothing moved", 504, say::RESPONSE_TIMEOUT),
        }
    }

    /// The code for machines: the last part of the problem's type. Callers match on these: add some, never rename one.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// The same in a few words.
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// The status that the caller gets.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the request is as good as never made, so that whoever made it may make it elsewhere: what it was meant for
    /// has seen nothing of it, and might have answered it otherwise.
    pub const fn is_untouched(self) -> bool {
        self.row().untouched
    }

    /// What Proxy-Status says (RFC 9209 §2.3).
    pub const fn proxy_status(self) -> &'static str {
        self.row().proxy_status
    }
}

const fn row(code: &'static str, title: &'static str, status: u16, proxy_status: &'static str) -> Row {
    Row { code, title, status, proxy_status, untouched: false }
}

const fn untouched(row: Row) -> Row {
    Row { untouched: true, ..row }
}
