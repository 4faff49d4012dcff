//! Opens a google.protobuf.Any, and the small values that every kind of resource has.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use envoy_types::pb::{
    envoy::config::core::v3::{
        Address, ConfigSource, address, config_source::ConfigSourceSpecifier, socket_address::PortSpecifier,
    },
    google::protobuf::{self, Any},
};
use prost::{Message, Name};

use super::{
    fault::Fault,
    shape::{EMPTY, Shape, message, value},
};

/// What an Any holds, if it is a `T` with no other fields than those of `shape`.
pub fn open<T: Message + Name + Default>(any: &Any, shape: &Shape) -> Result<T, Fault> {
    if any.type_url != T::type_url() {
        return Err(Fault::new(format!("is a {}, and this proxy understands only {}", any.type_url, T::type_url())));
    }
    let opened = T::decode(any.value.as_slice()).map_err(|error| Fault::new(error.to_string()))?;
    shape.check(&any.value)?;
    Ok(opened)
}

pub static ADDRESS: Shape = Shape(&[message(1, "socket_address", &SOCKET_ADDRESS)]);
static SOCKET_ADDRESS: Shape = Shape(&[value(1, "protocol"), value(2, "address"), value(3, "port_value")]);

/// An IP address and a TCP port.
pub fn socket_address(address: Option<Address>) -> Result<SocketAddr, Fault> {
    let Some(address::Address::SocketAddress(address)) = address.and_then(|address| address.address) else {
        return Err(Fault::missing("socket_address"));
    };
    let ip: IpAddr = address
        .address
        .parse()
        .map_err(|_| Fault::new(format!("{:?} is no IP address", address.address)).within("address"))?;
    let Some(PortSpecifier::PortValue(port)) = address.port_specifier else {
        return Err(Fault::missing("port_value"));
    };
    let port = u16::try_from(port).map_err(|_| Fault::new(format!("{port} is no port")).within("port_value"))?;
    if address.protocol != 0 {
        return Err(Fault::new("is not TCP").within("protocol"));
    }
    Ok(SocketAddr::new(ip, port))
}

pub static CONFIG_SOURCE: Shape = Shape(&[message(3, "ads", &EMPTY), value(6, "resource_api_version")]);

/// Refuses a source of configuration other than the stream on which the resource itself came.
pub fn from_ads(source: Option<&ConfigSource>) -> Result<(), Fault> {
    const V3: i32 = 2;
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_)) => {}
        _ => return Err(Fault::missing("ads")),
    }
    if source.is_none_or(|source| source.resource_api_version != V3) {
        return Err(Fault::new("is not V3").within("resource_api_version"));
    }
    Ok(())
}

/// The longest length of time, in seconds: 10,000 years, as duration.proto has it. A moment so far ahead can be told; ever
/// so far could not, and would take the proxy down.
const LONGEST: u64 = 315_576_000_000;

/// A length of time, which is never negative and never longer than a clock can tell.
pub fn duration(duration: &protobuf::Duration) -> Result<Duration, Fault> {
    match (u64::try_from(duration.seconds), u32::try_from(duration.nanos)) {
        (Ok(seconds), Ok(nanos)) if seconds <= LONGEST && nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(Fault::new("is no length of time")),
    }
}
