//! What makes the sessions of a pool.

use std::{error::Error, fmt, future::Future, pin::Pin};

use crate::Session;

/// An error of any type.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Makes the sessions of a [`Pool`](super::Pool): connects a transport, shakes hands where that is
/// needed, and starts a session over it.
///
/// Closures that return a future are connectors. What [`Config`](crate::Config) is for applies to
/// each session: its `max_outbound_streams` is the limit of streams per session.
///
/// A connector whose sessions accept nothing calls [`Session::stop_accepting`], or refuses streams
/// by a `max_inbound_streams` of 0. One whose sessions do accept starts a task for each.
pub trait Connect: Send + Sync + 'static {
    /// Why there is no session.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Makes one session. The future is dropped when it takes longer than the pool's
    /// [`connect_timeout`](super::PoolBuilder::connect_timeout).
    fn connect(&self) -> impl Future<Output = Result<Session, Self::Error>> + Send + 'static;
}

impl<F, R, E> Connect for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Session, E>> + Send + 'static,
    E: Into<BoxError>,
{
    type Error = E;

    fn connect(&self) -> impl Future<Output = Result<Session, E>> + Send + 'static {
        self()
    }
}

pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Session, BoxError>> + Send>>;

/// A connector of any type, so that a pool has only one.
pub(super) struct Connector(Box<dyn Fn() -> Connecting + Send + Sync>);

impl Connector {
    pub(super) fn new(connect: impl Connect) -> Self {
        Self(Box::new(move || {
            let connecting = connect.connect();
            Box::pin(async { connecting.await.map_err(Into::into) })
        }))
    }

    pub(super) fn connect(&self) -> Connecting {
        self.0()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
