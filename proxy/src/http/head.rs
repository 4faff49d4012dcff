//! What the head of a request has to be before anybody acts on it: it names one host, so that nobody further on takes it
//! for another's, and its body is framed in the one way that is understood here.

use http::{HeaderMap, Version, header, uri::Authority};

use super::Request;

/// Why nobody may act on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// RFC 9112 §3.2: HTTP/1.1 has to.
    #[error("the request names no host")]
    NoHost,
    /// RFC 9112 §3.2: several, or what is none.
    #[error("the request has no one readable Host")]
    BadHost,
    /// RFC 9110 §4.2.4: such names are there to deceive.
    #[error("the request names a user before the host (user@host)")]
    User,
    /// RFC 9112 §6.1: passed on as it is, a body would be taken for what it is not.
    #[error("the body has another transfer coding than chunked")]
    Coding,
}

/// The host that a request names: the authority in its target (absolute form, `:authority`), or else its Host. `None`:
/// HTTP/1.0 need not name one.
pub fn host(request: &Request) -> Result<Option<&str>, BadHead> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (None, _) => None,
        (Some(Ok(host)), None) => Some(host),
        _ => return Err(BadHead::BadHost),
    };
    let named = request.uri().authority().map(Authority::as_str).or(host);
    let enough = match request.version() {
        Version::HTTP_11 => host.is_some(),
        Version::HTTP_2 => named.is_some(),
        _ => true,
    };
    if !enough {
        return Err(BadHead::NoHost);
    }
    match named {
        Some(named) if named.contains('@') => Err(BadHead::User),
        Some(named) if !named.is_empty() && named.parse::<Authority>().is_err() => Err(BadHead::BadHost),
        named => Ok(named),
    }
}

/// Whether the body that follows is framed by `chunked`, or by its length, and by nothing else.
pub fn framing(headers: &HeaderMap) -> Result<(), BadHead> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if plain { Ok(()) } else { Err(BadHead::Coding) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::http::Body;

    /// Version, target, Hosts; what is named.
    type Case = (Version, &'static str, &'static [&'static str], Result<Option<&'static str>, BadHead>);

    #[test]
    fn a_request_names_one_host() {
        let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let cases: [Case; 17] = [
            (v11, "/", &["cart"], Ok(Some("cart"))),
            (v11, "/", &["cart:80"], Ok(Some("cart:80"))),
            (v11, "/", &[""], Ok(Some(""))),
            (v11, "http://cart/", &["other"], Ok(Some("cart"))),
            (v11, "/", &[], Err(BadHead::NoHost)),
            (v11, "http://cart/", &[], Err(BadHead::NoHost)),
            (v11, "/", &["cart", "cart"], Err(BadHead::BadHost)),
            (v11, "http://cart/", &["cart", "other"], Err(BadHead::BadHost)),
            (v11, "/", &["cart, other"], Err(BadHead::BadHost)),
            (v11, "/", &["cart/x"], Err(BadHead::BadHost)),
            (v11, "/", &["user@cart"], Err(BadHead::User)),
            (v11, "http://user:word@cart/", &["cart"], Err(BadHead::User)),
            (v10, "/", &[], Ok(None)),
            (v10, "/", &["a", "b"], Err(BadHead::BadHost)),
            (v2, "http://cart/", &[], Ok(Some("cart"))),
            (v2, "/", &["cart"], Ok(Some("cart"))),
            (v2, "/", &[], Err(BadHead::NoHost)),
        ];
        for (version, uri, hosts, expected) in cases {
            let mut request = Request::new(Body::default());
            *request.version_mut() = version;
            *request.uri_mut() = uri.parse().unwrap();
            for host in hosts {
                request.headers_mut().append(header::HOST, HeaderValue::from_str(host).unwrap());
            }
            assert_eq!(host(&request), expected, "{version:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        let cases: [(&[&str], bool); 6] = [
            (&[], true),
            (&["chunked"], true),
            (&["Chunked "], true),
            (&["gzip, chunked"], false),
            (&["gzip", "chunked"], false),
            (&["chunked", "chunked"], false),
        ];
        for (codings, plain) in cases {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_str(coding).unwrap());
            }
            assert_eq!(framing(&headers).is_ok(), plain, "{codings:?}");
        }
    }
}
