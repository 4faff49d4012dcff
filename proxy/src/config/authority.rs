//! What a caller may call a service: `cart`, `cart.shop`, `cart.shop:8080`. One form of it names the listener.

use std::fmt::Write;

use crate::base::spiffe::is_dns_label;

/// The port of a call that names none (RFC 9110 §4.2.1).
const DEFAULT_PORT: u16 = 80;

/// The longest authority that is worth reading: two labels, two dots, a colon and a port.
const LONGEST: usize = 63 + 1 + 63 + 1 + 1 + 5;

/// The one form of `text`: `<service>.<namespace>:<port>` in lower case. A bare name means a service of
/// `own_namespace`. `None`: no service of a mesh is called so.
pub fn canonical(text: &str, own_namespace: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) => (host, parse_port(digits)?),
        None => (text, DEFAULT_PORT),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let (service, namespace) = host.split_once('.').unwrap_or((host, own_namespace));
    let mut form = String::with_capacity(service.len() + namespace.len() + ".:65535".len());
    form.push_str(service);
    form.push('.');
    form.push_str(namespace);
    form.make_ascii_lowercase();
    let (service, namespace) = (&form[..service.len()], &form[service.len() + 1..]);
    if !is_dns_label(service) || !is_dns_label(namespace) {
        return None;
    }
    write!(form, ":{port}").ok()?;
    Some(form)
}

fn parse_port(digits: &str) -> Option<u16> {
    let port = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn every_name_of_a_service_has_one_form() {
        let cases = [
            ("cart", Some("cart.shop:80")),
            ("cart.", Some("cart.shop:80")),
            ("cart:8080", Some("cart.shop:8080")),
            ("cart.front", Some("cart.front:80")),
            ("Cart.FRONT", Some("cart.front:80")),
            ("cart.front.", Some("cart.front:80")),
            ("cart.front.:81", Some("cart.front:81")),
            ("cart.front:8080", Some("cart.front:8080")),
            ("", None),
            (".", None),
            (":80", None),
            ("cart:", None),
            ("cart:0", None),
            ("cart:+80", None),
            ("cart:65536", None),
            ("cart.front.svc", None),
            ("cart..front", None),
            ("user@cart", None),
            ("10.0.0.1", None),
            ("10.0.0.1:80", None),
            ("[::1]:80", None),
            ("example.com:443", Some("example.com:443")),
        ];
        for (text, form) in cases {
            assert_eq!(canonical(text, "shop").as_deref(), form, "{text:?}");
        }
    }
}
