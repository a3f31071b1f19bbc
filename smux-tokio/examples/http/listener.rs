use std::{future, io, net::SocketAddr};

use smux_tokio::{Session, Stream};

/// The streams that the peer opens, for `axum::serve`. The address of all of them is that of the
/// session's transport.
///
/// It never ends by itself, as no listener of axum does: stop serving when the session has
/// [closed](Session::closed). If it holds the last handle of its session, then dropping it refuses
/// what is not accepted yet, and the session closes once the streams that were accepted are done.
/// So does `axum::serve` at a graceful shutdown.
#[derive(Debug)]
pub(crate) struct Streams(Session);

impl Streams {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }
}

impl axum::serve::Listener for Streams {
    type Io = Stream;
    type Addr = Option<SocketAddr>;

    async fn accept(&mut self) -> (Stream, Self::Addr) {
        match self.0.accept().await {
            Ok(stream) => {
                let peer = stream.peer_addr();
                (stream, peer)
            }
            Err(_closed) => future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.0.local_addr())
    }
}
