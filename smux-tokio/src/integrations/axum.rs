//! `axum::serve` over the streams of a listener.

use std::{future, io, net::SocketAddr};

use axum::{
    extract::connect_info::Connected,
    serve::{self, IncomingStream},
};

use super::StreamInfo;
use crate::{Listener, Stream};

/// The address of a stream is its session's.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl serve::Listener for Listener {
    type Io = Stream;
    type Addr = Option<SocketAddr>;

    async fn accept(&mut self) -> (Stream, Self::Addr) {
        match Self::accept(self).await {
            Some(stream) => {
                let peer = stream.peer_addr();
                (stream, peer)
            }
            // A listener of axum has no end.
            None => future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Self::local_addr(self))
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl Connected<IncomingStream<'_, Listener>> for StreamInfo {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().into()
    }
}
