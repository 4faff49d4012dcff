//! Has the system find out when the other machine is gone, or the way to it.

use std::{io, net::SocketAddr, time::Duration};

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};
use tokio::net::TcpStream;

/// When a connection is silent for so long, the other machine is asked whether it is there; so often; and so many times.
const SILENT: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);

/// Ends the connection with an error when what was sent stays `unanswered` for so long by the machine at `remote`, or when that is
/// silent and does not answer at all. The own one is never gone.
pub fn notice_when_it_vanishes(stream: &TcpStream, remote: SocketAddr, unanswered: Duration) -> io::Result<()> {
    if remote.ip().is_loopback() {
        return Ok(());
    }
    set_tcp_user_timeout(stream, u32::try_from(unanswered.as_millis()).unwrap_or(u32::MAX))?;
    set_tcp_keepidle(stream, SILENT.0)?;
    set_tcp_keepintvl(stream, SILENT.1)?;
    set_tcp_keepcnt(stream, SILENT.2)?;
    set_socket_keepalive(stream, true)?;
    Ok(())
}
