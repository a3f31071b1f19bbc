//! smux as a multiplexer of libp2p: the file to copy.

use std::{
    future::{Ready, ready},
    hash::{BuildHasher, RandomState},
    io, iter,
    pin::Pin,
    task::{self, Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::{
    UpgradeInfo,
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
};
use smux_async_std::{CloseReason, Config, Session, Stream};

use crate::timer::TokioTimer;

/// What peers agree on when they negotiate: version 2, as [`Config::v2`] has it.
const PROTOCOL: &str = "/smux/2.0.0";

/// Makes a session of a connection, once both peers have agreed on smux.
#[derive(Clone)]
pub(crate) struct Smux(pub(crate) Config);

impl UpgradeInfo for Smux {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(PROTOCOL)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + 'static> InboundConnectionUpgrade<T> for Smux {
    type Output = Muxer;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer>>;

    fn upgrade_inbound(self, io: T, _: &'static str) -> Self::Future {
        let (session, driver) = Session::server_with_timer(io, self.0, random(), TokioTimer::new());
        ready(Ok(Muxer::new(session, driver)))
    }
}

impl<T: AsyncRead + AsyncWrite + Send + 'static> OutboundConnectionUpgrade<T> for Smux {
    type Output = Muxer;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer>>;

    fn upgrade_outbound(self, io: T, _: &'static str) -> Self::Future {
        let (session, driver) = Session::client_with_timer(io, self.0, random(), TokioTimer::new());
        ready(Ok(Muxer::new(session, driver)))
    }
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// A session with what moves it: libp2p has a task for each connection, which polls both.
pub(crate) struct Muxer {
    session: Session,
    driver: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
}

impl Muxer {
    fn new(session: Session, driver: impl Future<Output = CloseReason> + Send + 'static) -> Self {
        Self {
            session,
            driver: Box::pin(driver),
        }
    }
}

impl StreamMuxer for Muxer {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.session.poll_accept(cx).map_err(Into::into)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.session.poll_open(cx).map_err(Into::into)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.start_close();
        self.driver.as_mut().poll(cx).map(|_reason| Ok(()))
    }

    /// Moves bytes. It ends only with the session: for libp2p an error of the connection.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let reason = task::ready!(self.driver.as_mut().poll(cx));
        Poll::Ready(Err(reason.into()))
    }
}
