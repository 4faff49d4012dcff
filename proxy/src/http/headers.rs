//! What belongs to one connection and must not be passed on to the next (RFC 9110 §7.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes what belongs to the connection on which a request came, and says anew, for the connection of `version` that
/// it goes out on, whether trailers are understood at the other end.
pub fn pass_on(headers: &mut HeaderMap, version: Version) {
    let trailers = headers.get_all(header::TE).iter().any(|value| tokens(value).any(|token| token == "trailers"));
    strip(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if version != Version::HTTP_2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
}

/// Removes what belongs to the connection on which a request or a response came.
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        headers.get_all(header::CONNECTION).iter().flat_map(tokens).filter_map(|token| token.parse().ok()).collect();
    // Whom a request means is for everybody on its way to know, whatever its connection says.
    let named = named.iter().filter(|&name| name != header::HOST);
    for name in named.chain(&[
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]) {
        headers.remove(name);
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = String> {
    let text = value.to_str().unwrap_or_default();
    text.split([',', ';']).map(|token| token.trim().to_ascii_lowercase())
}

/// Whether the caller speaks gRPC, and so understands no other errors than gRPC's.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let rest = content_type.strip_prefix("application/grpc");
    // Not gRPC-Web, whose trailers are part of the body.
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut headers = map(&[
            ("host", "cart.shop"),
            ("connection", "close, X-Hop, Host"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("trailer", "x-sum"),
            ("x-mine", "3"),
        ]);
        pass_on(&mut headers, Version::HTTP_11);
        assert_eq!(headers, map(&[("host", "cart.shop"), ("trailer", "x-sum"), ("x-mine", "3")]));
    }

    #[test]
    fn whether_trailers_are_understood_is_passed_on() {
        let mut headers = map(&[("te", "gzip;q=0.5, Trailers")]);
        pass_on(&mut headers, Version::HTTP_2);
        assert_eq!(headers, map(&[("te", "trailers")]));
        pass_on(&mut headers, Version::HTTP_11);
        assert_eq!(headers, map(&[("te", "trailers"), ("connection", "te")]));
    }

    #[test]
    fn knows_grpc_by_its_type() {
        let cases = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ];
        for (content_type, grpc) in cases {
            assert_eq!(is_grpc(&map(&[("content-type", content_type)])), grpc, "{content_type}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
