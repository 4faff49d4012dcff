//! What a CONNECT asks for: the connection itself, to speak on it as if it led elsewhere (RFC 9110 §9.3.6).

use bytes::{Bytes, BytesMut};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{linger::Linger, rewind::Rewind};
use crate::message::{
    Request,
    upgrade::{Connection, LettingGo},
};

/// A tunnel that opens once its CONNECT was answered with 200.
pub struct Tunnel(OnUpgrade);

impl Tunnel {
    /// The tunnel that `request`, a CONNECT of HTTP/1.1, asks for.
    pub fn asked_for_by(request: &mut Request) -> Self {
        Self(hyper::upgrade::on(request))
    }

    /// The connection inside; none, if the one around it was lost before.
    pub async fn open(self) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        self.0.await.ok().map(TokioIo::new)
    }

    /// The connection itself, which came as a `T`, and what has been read of it already; none, if it was lost before.
    pub async fn open_bare<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self) -> Option<(T, Bytes)> {
        let parts = self.0.await.ok()?.downcast::<TokioIo<Linger<Rewind<T>>>>().ok()?;
        let (stream, unread) = parts.io.into_inner().into_inner().into_parts();
        let mut ahead = BytesMut::from(&parts.read_buf[..]);
        ahead.extend_from_slice(&unread);
        Some((stream, ahead.freeze()))
    }
}

/// The connection that `upgrade` lets go of.
pub(super) fn let_go(upgrade: OnUpgrade) -> LettingGo {
    Box::pin(async move { Some(Box::new(TokioIo::new(upgrade.await.ok()?)) as Box<dyn Connection>) })
}
