//! What belongs to one connection and must not be passed on to the next (RFC 9110 §7.6.1), and what nobody may claim.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// What a sidecar says to the one that called it, when nobody did anything with the request: it may go elsewhere. It is
/// believed of who has proved to be of the mesh, and goes no further than from one sidecar to the next.
pub const UNTOUCHED: HeaderName = HeaderName::from_static("sluice-untouched");

/// What a sidecar is called in Proxy-Status.
pub const OURSELVES: &str = "sluice";

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

/// What says of itself that somebody has proved who calls: names that begin so. Between sidecars that is proved by mutual
/// TLS, and a caller that says so itself has proved nothing. RFC 9440 §2.2 asks for this of the first two; the others are
/// what proxies and clouds call the same.
const CLAIMS: [&str; 12] = [
    "client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-",
    "x-client-cert",
    "x-client-verify",
    "x-ssl-client-",
    "ssl-client-",
    "x-tls-client-",
    "x-amzn-mtls-",
    "x-arr-clientcert",
    "x-spiffe-id",
    "l5d-client-id",
];

/// What has a meaning on the way. Many programs take `_` in a name for `-`, and would find a meaning where there was none.
const MEANT: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::MAX_FORWARDS,
];

fn is_claim(name: &str) -> bool {
    CLAIMS.iter().any(|claim| name.starts_with(claim))
}

/// Whether some programs take a header of this name for one that it is not.
pub(super) fn is_twin(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_') && {
        let plain = name.replace('_', "-");
        is_claim(&plain) || MEANT.iter().any(|meant| plain == meant.as_str()) || plain == "proxy-status"
    }
}

/// Removes what a caller says of itself that only a proof can say.
pub fn strip_claims(headers: &mut HeaderMap) {
    remove(headers, is_claim);
}

fn remove(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Removes what a program says in the name of the mesh (RFC 9209): what a caller reads there, a sidecar has said.
pub fn strip_forgeries(headers: &mut HeaderMap) {
    if !headers.contains_key(PROXY_STATUS) {
        return;
    }
    let ours = |member: &str| {
        let name = member.split(';').next().unwrap_or_default().trim().trim_matches('"');
        name.eq_ignore_ascii_case(OURSELVES)
    };
    let is_theirs = |line: &HeaderValue| line.to_str().is_ok_and(|line| !line.split(',').any(ours));
    let theirs: Vec<HeaderValue> =
        headers.get_all(PROXY_STATUS).iter().filter(|line| is_theirs(line)).cloned().collect();
    headers.remove(PROXY_STATUS);
    for line in theirs {
        headers.append(PROXY_STATUS, line);
    }
}

/// Removes what has no place after a body (RFC 9110 §6.5.1): whoever took it for part of the head would act on what
/// nobody has judged.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers);
    let no_trailer = |name: &str| MEANT.iter().any(|meant| name == meant.as_str()) || is_claim(name);
    let twin = |name: &str| name.contains('_') && no_trailer(&name.replace('_', "-"));
    remove(trailers, |name| no_trailer(name) || twin(name));
    strip_forgeries(trailers);
}

pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = String> {
    let text = value.to_str().unwrap_or_default();
    text.split([',', ';']).map(|token| token.trim().to_ascii_lowercase())
}

/// Whether a caller waits for leave before it sends its body (RFC 9110 §10.1.1).
pub fn expects_leave(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// How many hops a request may still take (RFC 9110 §7.6.2); at 0 it is answered where it is. None: as many as there are.
pub fn hops_left(method: &Method, headers: &HeaderMap) -> Option<u64> {
    if !matches!(*method, Method::TRACE | Method::OPTIONS) {
        return None;
    }
    headers.get(header::MAX_FORWARDS)?.to_str().ok()?.parse().ok()
}

/// Counts a hop.
pub fn count_hop(method: &Method, headers: &mut HeaderMap) {
    if let Some(left) = hops_left(method, headers).and_then(|left| left.checked_sub(1)) {
        headers.insert(header::MAX_FORWARDS, HeaderValue::from(left));
    }
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
    fn nobody_claims_what_only_a_proof_can_say() {
        let mut headers = map(&[
            ("x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://b"),
            ("client-cert", ":MII=:"),
            ("client-cert-chain", ":MII=:"),
            ("x-ssl-client-verify", "SUCCESS"),
            ("l5d-client-id", "web.shop"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-client-id", "7"),
        ]);
        strip_claims(&mut headers);
        assert_eq!(headers, map(&[("x-forwarded-for", "10.0.0.1"), ("x-client-id", "7")]));
    }

    #[test]
    fn nobody_speaks_in_the_name_of_the_mesh() {
        let mut headers = map(&[
            ("proxy-status", "sluice; error=http_request_denied"),
            ("proxy-status", "cdn; received-status=200"),
            ("proxy-status", "cdn, \"Sluice\";error=x"),
        ]);
        strip_forgeries(&mut headers);
        assert_eq!(headers, map(&[("proxy-status", "cdn; received-status=200")]));
    }

    #[test]
    fn what_belongs_to_a_head_has_no_place_in_trailers() {
        let mut trailers = map(&[
            ("grpc-status", "0"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("host", "other"),
            ("content_length", "5"),
            ("x-forwarded-client-cert", "URI=spiffe://b"),
            ("proxy-status", "sluice; error=x"),
            ("x-sum", "7"),
        ]);
        strip_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("grpc-status", "0"), ("x-sum", "7")]));
    }

    #[test]
    fn hops_are_counted_where_they_have_a_meaning() {
        let cases = [
            (Method::OPTIONS, "0", Some(0), "0"),
            (Method::TRACE, "0", Some(0), "0"),
            (Method::TRACE, "3", Some(3), "2"),
            (Method::OPTIONS, "many", None, "many"),
            (Method::GET, "0", None, "0"),
        ];
        for (method, before, left, after) in cases {
            let mut headers = map(&[("max-forwards", before)]);
            assert_eq!(hops_left(&method, &headers), left, "{method} {before}");
            count_hop(&method, &mut headers);
            assert_eq!(headers, map(&[("max-forwards", after)]), "{method} {before}");
        }
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
