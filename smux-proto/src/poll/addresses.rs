//! The addresses of a transport, for adapters that know them.

use std::{net::SocketAddr, sync::Arc};

/// The two addresses of a session's transport, shared by all its handles. By default none is known.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Option<Arc<(Option<SocketAddr>, Option<SocketAddr>)>>);

impl Addresses {
    /// The address here and the address at the peer, if known.
    pub fn new(local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        Self(Some(Arc::new((local, peer))))
    }

    /// The address here.
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.0
    }

    /// The address at the peer.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.1
    }
}
