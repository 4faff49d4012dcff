//! Which settings there are, and what is said of bad ones.

use super::*;

fn read(lines: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let variables = lines.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Settings::read(variables).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn needs_nothing_but_a_directory() {
    let settings = read(&[("SLUICE_STATE_DIR", "/tmp/s"), ("HOME", "/root"), ("SLUICE_APP_PORT", "")]).unwrap();
    assert_eq!(settings.state_dir, PathBuf::from("/tmp/s"));
    assert_eq!(settings.app_ports, []);
    assert_eq!(settings.advertise_address, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(settings.drain_timeout, Duration::from_secs(30));
    assert_eq!(settings.limits, Limits::default());
}

#[test]
fn a_service_called_sluice_is_no_setting() {
    let settings = read(&[
        ("SLUICE_STATE_DIR", "/tmp/s"),
        ("SLUICE_PORT", "tcp://10.0.0.1:80"),
        ("SLUICE_SERVICE_HOST", "10.0.0.1"),
        ("SLUICE_SERVICE_PORT_HTTPS", "443"),
        ("SLUICE_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(settings.unwrap(), read(&[("SLUICE_STATE_DIR", "/tmp/s")]).unwrap());
}

#[test]
fn each_port_of_the_program_has_a_place_for_its_callers() {
    let read_with = |ports, listen| {
        read(&[("SLUICE_STATE_DIR", "/tmp/s"), ("SLUICE_APP_PORT", ports), ("SLUICE_INBOUND_LISTEN", listen)])
    };
    let settings = read_with("http=9001,9102", "127.0.0.1:65534").unwrap();
    assert_eq!(settings.app_ports.iter().map(|port| port.port).collect::<Vec<_>>(), [9001, 9102]);
    let fault = "SLUICE_INBOUND_LISTEN: leaves no ports for all of SLUICE_APP_PORT".to_owned();
    assert_eq!(read_with("1,2,3", "127.0.0.1:65534"), Err(vec![fault]));
    assert!(read_with("1,2,3", "127.0.0.1:0").is_ok());
}

#[test]
fn tells_all_faults_at_once() {
    let faults = read(&[
        ("SLUICE_STATEDIR", "/tmp/s"),
        ("SLUICE_JOIN_ADDR", "8445"),
        ("SLUICE_APP_PORT", "0"),
        ("SLUICE_INBOUND_LISTEN", "0.0.0.0:1"),
        ("SLUICE_OUTBOUND_LISTEN", "0.0.0.0:0"),
        ("SLUICE_ADMIN_LISTEN", "localhost"),
        ("SLUICE_START_TIMEOUT", "1h"),
        ("SLUICE_DRAIN_TIMEOUT", "soon"),
        ("SLUICE_LOG", "loud"),
        ("SLUICE_MAX_RULES", "0"),
        ("SLUICE_MAX_ENDPOINTS", "-1"),
        ("SLUICE_MAX_MEMORY", "64"),
        ("SLUICE_EXPOSED_PROGRAM", "no"),
        ("SLUICE_LOCAL_USERS", "me"),
    ]);
    assert_eq!(
        faults.unwrap_err(),
        [
            "SLUICE_STATEDIR: there is no such setting",
            "SLUICE_ADVERTISE_ADDRESS: is needed, for no caller can reach 0.0.0.0 or [::]",
            "SLUICE_STATE_DIR: is required: a directory",
            "SLUICE_JOIN_ADDR: \"8445\" is not host:port",
            "SLUICE_APP_PORT: \"0\" is not ports like 9001 or http=9001,metrics=9102",
            "SLUICE_EXPOSED_PROGRAM: \"no\" is not one of warn, refuse",
            "SLUICE_OUTBOUND_LISTEN: must be a loopback address: whoever reaches it speaks for this workload",
            "SLUICE_ADMIN_LISTEN: \"localhost\" is not an address like 127.0.0.1:0",
            "SLUICE_LOCAL_USERS: \"me\" is not any, own or user ids",
            "SLUICE_START_TIMEOUT: \"1h\" is not a duration like 500ms, 30s or 5m",
            "SLUICE_DRAIN_TIMEOUT: \"soon\" is not a duration like 500ms, 30s or 5m",
            "SLUICE_LOG: \"loud\" is not one of error, warn, info, debug, trace",
            "SLUICE_MAX_RULES: must be at least 1",
            "SLUICE_MAX_ENDPOINTS: \"-1\" is not a whole number",
            "SLUICE_MAX_MEMORY: \"64\" is not a size like 64Mi or 1Gi",
        ]
    );
}

#[test]
fn reads_durations() {
    let cases = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("0s", 0)];
    for (text, milliseconds) in cases {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "5", "s", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615m"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn reads_sizes() {
    let cases = [("64Ki", 64 << 10), ("256Mi", 256 << 20), ("1Gi", 1 << 30)];
    for (text, bytes) in cases {
        assert_eq!(parse_bytes(text), Some(bytes), "{text}");
    }
    for text in ["", "5", "Mi", "0Mi", "+5Mi", "-1Mi", "1.5Gi", "1 Gi", "99999999999Gi"] {
        assert_eq!(parse_bytes(text), None, "{text}");
    }
}
