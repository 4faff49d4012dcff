//! What the head of a message has to be before anybody acts on it: it can be read in one way alone. What could be read in
//! two is refused and never repaired, or what was judged here would not be what the program sees.

use http::{HeaderMap, HeaderValue, Method, Uri, Version, header, uri::Authority};

use super::{Request, headers, reason::Reason};

/// Why nobody may act on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// RFC 9112 §3.2: HTTP/1.1 has to.
    #[error("the request names no host")]
    NoHost,
    /// RFC 9112 §3.2: several, or what is none.
    #[error("the request has no one readable Host")]
    BadHost,
    /// RFC 9113 §8.3.1 says so of HTTP/2; of HTTP/1.1 it is as true.
    #[error("the target of the request names another host than its Host")]
    TwoHosts,
    /// RFC 9110 §4.2.4: such names are there to deceive.
    #[error("the request names a user before the host (user@host)")]
    User,
    /// RFC 9112 §3.2: `http://cart?/admin` and `GET *` are read in different ways.
    #[error("the target of the request has no path")]
    NoPath,
    /// RFC 9112 §6.1: passed on as it is, a body would be taken for what it is not.
    #[error("the body has another transfer coding than chunked")]
    Coding,
    /// RFC 9112 §6.3: the body has one end or another.
    #[error("the body is framed twice, by Transfer-Encoding and by Content-Length")]
    FramedTwice,
    /// RFC 9110 §8.6: it is one number.
    #[error("Content-Length is not one number")]
    Length,
    /// Many programs take `_` in the name of a header for `-`.
    #[error("the name of a header is that of one with a meaning here, but for an underscore")]
    Twin,
}

impl BadHead {
    /// What machines know of it.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Coding => Reason::TransferCoding,
            Self::NoHost
            | Self::BadHost
            | Self::TwoHosts
            | Self::User
            | Self::NoPath
            | Self::FramedTwice
            | Self::Length
            | Self::Twin => Reason::BadRequest,
        }
    }
}

/// The head of a request, as decisions see it.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// As it came.
    pub method: &'a Method,
    /// What it came in.
    pub version: Version,
    /// As they came.
    pub headers: &'a HeaderMap,
    target: &'a Uri,
}

impl<'a> Head<'a> {
    /// That of `request`.
    pub fn of(request: &'a Request) -> Self {
        let (method, version) = (request.method(), request.version());
        Self { method, version, headers: request.headers(), target: request.uri() }
    }

    /// Without the query, as it came.
    pub fn path(&self) -> &'a str {
        self.target.path()
    }

    /// The path by which a request is routed. `OPTIONS *` speaks of the server as a whole, and goes where all that has no
    /// route of its own goes.
    pub fn routed_path(&self) -> &'a str {
        match self.path() {
            "*" => "/",
            path => path,
        }
    }

    /// Whether it asks for a tunnel.
    pub fn is_connect(&self) -> bool {
        self.method == Method::CONNECT
    }

    /// Whether it asks for encryption.
    pub fn is_https(&self) -> bool {
        self.target.scheme_str() == Some("https")
    }

    /// Whether this is the last hop that it may take.
    pub fn is_last_hop(&self) -> bool {
        headers::hops_left(self.method, self.headers) == Some(0)
    }

    /// The host that the request names, if there is only one way to read the request: the authority in its target (absolute
    /// form, `:authority`), or else its Host. `None`: HTTP/1.0 need not name one.
    pub fn read(&self) -> Result<Option<&'a str>, BadHead> {
        framing(self.headers)?;
        if self.headers.keys().any(headers::is_twin) {
            return Err(BadHead::Twin);
        }
        let target = self.target.path_and_query().map_or("", |target| target.as_str());
        let whole_server = target == "*" && self.method == Method::OPTIONS;
        if !target.starts_with('/') && !whole_server && !self.is_connect() {
            return Err(BadHead::NoPath);
        }
        self.host()
    }

    fn host(&self) -> Result<Option<&'a str>, BadHead> {
        let mut hosts = self.headers.get_all(header::HOST).iter();
        let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (None, _) => None,
            (Some(Ok(host)), None) => Some(host),
            _ => return Err(BadHead::BadHost),
        };
        let target = self.target.authority().map(Authority::as_str);
        let enough = match self.version {
            Version::HTTP_11 => host.is_some(),
            Version::HTTP_2 => target.or(host).is_some(),
            _ => true,
        };
        if !enough {
            return Err(BadHead::NoHost);
        }
        if let Some(bad) = [target, host].into_iter().flatten().find_map(bad_host) {
            return Err(bad);
        }
        match (target, host) {
            (Some(target), Some(host)) if !same_host(target, host, self.target) => Err(BadHead::TwoHosts),
            _ => Ok(target.or(host)),
        }
    }
}

fn bad_host(host: &str) -> Option<BadHead> {
    if host.contains('@') {
        return Some(BadHead::User);
    }
    (!host.is_empty() && host.parse::<Authority>().is_err()).then_some(BadHead::BadHost)
}

/// Whether both name the same host and port, whichever way they are written.
fn same_host(one: &str, other: &str, uri: &Uri) -> bool {
    let port = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    let plain = |host: &'_ str| host.strip_suffix(port).or(host.strip_suffix(':')).unwrap_or(host).to_ascii_lowercase();
    plain(one) == plain(other)
}

/// Whether a body is framed by `chunked`, or by one length, and by nothing else.
pub fn framing(headers: &HeaderMap) -> Result<(), BadHead> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(BadHead::Coding),
    };
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next().map(HeaderValue::as_bytes), lengths.next()) {
        (None, _) => Ok(()),
        (Some(_), _) if chunked => Err(BadHead::FramedTwice),
        (Some(length), None) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(BadHead::Length),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::message::Body;

    type Lines = &'static [(&'static str, &'static str)];

    /// Version, target, Hosts; what is named.
    type Case = (Version, &'static str, &'static [&'static str], Result<Option<&'static str>, BadHead>);

    fn request(version: Version, method: &str, uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Body::default());
        *request.version_mut() = version;
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    #[test]
    fn a_request_names_one_host() {
        let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let cases: [Case; 24] = [
            (v11, "/", &["cart"], Ok(Some("cart"))),
            (v11, "/", &["cart:80"], Ok(Some("cart:80"))),
            (v11, "/", &[""], Ok(Some(""))),
            (v11, "http://cart/", &["cart"], Ok(Some("cart"))),
            (v11, "http://Cart/", &["cart:80"], Ok(Some("Cart"))),
            (v11, "http://cart:80/", &["CART"], Ok(Some("cart:80"))),
            (v11, "http://cart/", &["other"], Err(BadHead::TwoHosts)),
            (v11, "http://cart/", &["cart:81"], Err(BadHead::TwoHosts)),
            (v11, "http://cart/", &[""], Err(BadHead::TwoHosts)),
            (v11, "/", &[], Err(BadHead::NoHost)),
            (v11, "http://cart/", &[], Err(BadHead::NoHost)),
            (v11, "/", &["cart", "cart"], Err(BadHead::BadHost)),
            (v11, "http://cart/", &["cart", "other"], Err(BadHead::BadHost)),
            (v11, "/", &["cart, other"], Err(BadHead::BadHost)),
            (v11, "/", &["cart/x"], Err(BadHead::BadHost)),
            (v11, "/", &["user@cart"], Err(BadHead::User)),
            (v11, "http://user:word@cart/", &["cart"], Err(BadHead::User)),
            (v11, "http://cart/", &["user@cart"], Err(BadHead::User)),
            (v10, "/", &[], Ok(None)),
            (v10, "/", &["a", "b"], Err(BadHead::BadHost)),
            (v2, "http://cart/", &[], Ok(Some("cart"))),
            (v2, "http://cart/", &["other"], Err(BadHead::TwoHosts)),
            (v2, "/", &["cart"], Ok(Some("cart"))),
            (v2, "/", &[], Err(BadHead::NoHost)),
        ];
        for (version, uri, hosts, expected) in cases {
            let hosts: Vec<_> = hosts.iter().map(|&host| ("host", host)).collect();
            assert_eq!(Head::of(&request(version, "GET", uri, &hosts)).read(), expected, "{version:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_request_has_a_path() {
        let cases = [
            ("GET", "http://cart", Ok(Some("cart"))),
            ("GET", "http://cart?/admin", Err(BadHead::NoPath)),
            ("GET", "*", Err(BadHead::NoPath)),
            ("OPTIONS", "*", Ok(Some("cart"))),
            ("OPTIONS", "http://cart?x", Err(BadHead::NoPath)),
            ("GET", "cart", Err(BadHead::NoPath)),
        ];
        for (method, uri, expected) in cases {
            let request = request(Version::HTTP_11, method, uri, &[("host", "cart")]);
            assert_eq!(Head::of(&request).read(), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_header_has_no_twin() {
        for (name, twin) in [
            ("content_length", true),
            ("transfer_encoding", true),
            ("x_forwarded_client_cert", true),
            ("api_key", false),
            ("x-forwarded-for", false),
        ] {
            let request = request(Version::HTTP_11, "GET", "/", &[("host", "cart"), (name, "1")]);
            assert_eq!(Head::of(&request).read() == Err(BadHead::Twin), twin, "{name}");
        }
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        const CODING: &str = "transfer-encoding";
        const LENGTH: &str = "content-length";
        let cases: [(Lines, Result<(), BadHead>); 15] = [
            (&[], Ok(())),
            (&[(CODING, "chunked")], Ok(())),
            (&[(CODING, "Chunked ")], Ok(())),
            (&[(CODING, "gzip, chunked")], Err(BadHead::Coding)),
            (&[(CODING, "gzip"), (CODING, "chunked")], Err(BadHead::Coding)),
            (&[(CODING, "chunked"), (CODING, "chunked")], Err(BadHead::Coding)),
            (&[(CODING, "chunked;a")], Err(BadHead::Coding)),
            (&[(CODING, "")], Err(BadHead::Coding)),
            (&[(LENGTH, "5")], Ok(())),
            (&[(LENGTH, "5"), (LENGTH, "5")], Err(BadHead::Length)),
            (&[(LENGTH, "5, 5")], Err(BadHead::Length)),
            (&[(LENGTH, "+5")], Err(BadHead::Length)),
            (&[(LENGTH, "0x5")], Err(BadHead::Length)),
            (&[(LENGTH, "")], Err(BadHead::Length)),
            (&[(LENGTH, "5"), (CODING, "chunked")], Err(BadHead::FramedTwice)),
        ];
        for (lines, expected) in cases {
            let request = request(Version::HTTP_11, "POST", "/", lines);
            assert_eq!(framing(request.headers()), expected, "{lines:?}");
        }
    }
}
