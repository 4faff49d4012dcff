//! What Kubernetes puts into the environment for every Service of a namespace ("service links"). For one whose name begins
//! with `sluice`, those variables look like settings of ours, and are none.

/// Whether `name=value` is of a Service.
pub fn is_service_link(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    // `SLUICE_PORT=tcp://10.0.0.1:80`: no port of ours is written so.
    let is_url = || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_PORT") && is_url() {
        return true;
    }
    // `…_PORT_80_TCP`, or a part of that: `…_PORT_80_TCP_ADDR`, `…_PORT_80_TCP_PORT`.
    let whole = ["_PROTO", "_ADDR", "_PORT"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
    let port = whole.rsplit_once("_PORT_").and_then(|(_, port)| port.split_once('_'));
    port.is_some_and(|(number, protocol)| number.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].contains(&protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_from_settings() {
        let cases = [
            ("SLUICE_SERVICE_HOST", "10.0.0.1", true),
            ("SLUICE_SERVICE_PORT", "80", true),
            ("SLUICE_SERVICE_PORT_HTTPS", "443", true),
            ("SLUICE_PORT", "tcp://10.0.0.1:80", true),
            ("SLUICE_PORT_80_TCP", "tcp://10.0.0.1:80", true),
            ("SLUICE_PORT_80_TCP_PROTO", "tcp", true),
            ("SLUICE_PORT_80_TCP_PORT", "80", true),
            ("SLUICE_PORT_80_TCP_ADDR", "10.0.0.1", true),
            ("SLUICE_PORT_53_UDP_ADDR", "10.0.0.1", true),
            ("SLUICE_SERVER_SERVICE_HOST", "10.0.0.1", true),
            ("SLUICE_SERVER_PORT_8445_TCP", "tcp://10.0.0.1:8445", true),
            ("SLUICE_APP_PORT", "tcp://10.0.0.1:80", true),
            ("SLUICE_APP_PORT", "8080", false),
            ("SLUICE_PORT", "80", false),
            ("SLUICE_PORT_NUMBER", "80", false),
            ("SLUICE_PORT_80_TCP_WHAT", "80", false),
            ("SLUICE_PORT_99999_TCP", "80", false),
            ("SLUICE_STATE_DIR", "/tmp", false),
            ("SLUICE_WHAT", "1", false),
        ];
        for (name, value, is_link) in cases {
            assert_eq!(is_service_link(name, value), is_link, "{name}={value}");
        }
    }
}
