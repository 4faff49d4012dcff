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

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl, tcp_user_timeout};
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    /// An address at which nobody of this machine is (RFC 5737).
    const ELSEWHERE: ([u8; 4], u16) = ([192, 0, 2, 1], 80);

    /// Both ends of a connection.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_system_looks_after_connections_to_other_machines_and_to_no_others() {
        let (stream, _other) = connection().await;
        notice_when_it_vanishes(&stream, stream.peer_addr().unwrap(), Duration::from_secs(20)).unwrap();
        assert!(!socket_keepalive(&stream).unwrap());
        assert_eq!(tcp_user_timeout(&stream).unwrap(), 0);
        notice_when_it_vanishes(&stream, ELSEWHERE.into(), Duration::from_secs(20)).unwrap();
        assert!(socket_keepalive(&stream).unwrap());
        assert_eq!(tcp_user_timeout(&stream).unwrap(), 20_000);
        let silent = (tcp_keepidle(&stream), tcp_keepintvl(&stream), tcp_keepcnt(&stream));
        assert_eq!((silent.0.unwrap(), silent.1.unwrap(), silent.2.unwrap()), SILENT);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_arrives_any_more_ends_with_an_error() {
        let (mut stream, _takes_nothing_in) = connection().await;
        notice_when_it_vanishes(&stream, ELSEWHERE.into(), Duration::from_millis(1)).unwrap();
        let block = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = stream.write_all(&block).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
