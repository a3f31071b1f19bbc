//! What connections come from.

use std::{future::Future, io, net::SocketAddr};

/// Accepts connections that sessions can run over: see [`Listener`](super::Listener).
pub trait Accept: Send + 'static {
    /// A connection as it arrived, before any handshake.
    type Connection: Send + 'static;

    /// Accepts the next connection. It must be cancel-safe, and leave handshakes to the function
    /// that makes the session, or one slow client holds up all others.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// Where connections are accepted, if that is an address of the internet.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}
