//! Whom a request means to call. A page in a browser reaches loopback too, under a name that its owner lets point there
//! (DNS rebinding), and could then read what is here: so only names are answered that nobody else can own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::message::{HeaderValue, Request, Version, header};

/// Whether `request` calls this machine by a name of its own. To name nobody is up to HTTP/1.0, which no browser speaks.
pub fn means_us(request: &Request) -> bool {
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let mut named = authority.into_iter().chain(hosts).peekable();
    if named.peek().is_none() {
        return request.version() <= Version::HTTP_10;
    }
    named.all(|name| str::from_utf8(name).is_ok_and(is_loopback))
}

/// `localhost`, or an IP address of loopback; a port may follow.
fn is_loopback(authority: &str) -> bool {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    if let Ok(ip) = authority.parse::<Ipv4Addr>() {
        return ip.is_loopback();
    }
    if let Some(ip) = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return ip.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback());
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    host.eq_ignore_ascii_case("localhost") && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_few_names() {
        let cases = [
            ("localhost", true),
            ("LOCALHOST:15000", true),
            ("127.0.0.1", true),
            ("127.1.2.3:80", true),
            ("[::1]", true),
            ("[::1]:15000", true),
            ("", false),
            (":15000", false),
            ("localhost.", false),
            ("localhost:port", false),
            ("127.0.0.1.rebound.example", false),
            ("user@localhost", false),
            ("128.0.0.1", false),
            ("127.1", false),
            ("::1", false),
            ("[::1", false),
            ("[::1]15000", false),
            ("[::2]", false),
            ("[127.0.0.1]", false),
            ("[localhost]", false),
        ];
        for (authority, expected) in cases {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }
}
