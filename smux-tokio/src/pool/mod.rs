//! Many sessions with one peer, used as one.

mod backoff;
mod builder;
mod connect;
mod event;
mod keeper;
mod link;
mod queue;
mod shared;
mod stats;

use std::{error::Error, fmt, future::poll_fn, io, sync::Arc, time::Duration};

use tokio::runtime::Handle;

pub use self::{builder::PoolBuilder, connect::Connect, event::PoolEvent, stats::PoolStats};
use self::{connect::Connector, queue::Queue, shared::Shared};
use crate::{
    Stream,
    phase::Phase,
    race::{Either, race},
};

/// Sessions with one peer that are connected again when they are lost, for opening streams on them.
/// Clones are handles on the same pool.
///
/// A stream is opened on the session with the fewest. While there is no session with room for one,
/// opening waits; with [`max_sessions`](PoolBuilder::max_sessions) the pool connects more. Streams
/// of a session that is lost fail with it.
///
/// When the last handle is dropped, no session is connected any more; streams that are open go on,
/// and each session closes after its last one.
///
/// ```
/// use smux_tokio::{Config, Pool, Session};
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # tokio::spawn(async move {
/// #     loop {
/// #         let (tcp, _) = listener.accept().await.unwrap();
/// #         let session = Session::server_tcp(tcp, Config::v2()).unwrap();
/// #         tokio::spawn(async move {
/// #             while let Ok(mut stream) = session.accept().await {
/// #                 stream.write_all(b"hello").await.unwrap();
/// #             }
/// #         });
/// #     }
/// # });
/// let pool = Pool::builder()
///     .sessions(4)
///     .start(move || Session::connect(address, Config::v2()));
/// let mut stream = pool.open().await?; // waits until there is a session
/// let mut text = String::new();
/// stream.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// pool.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pool(Arc<Owner>);

impl Pool {
    /// A pool of one session.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn new(connector: impl Connect) -> Self {
        Self::builder().start(connector)
    }

    /// The settings of a pool that is to be started.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// Opens a stream on the session with the fewest, and waits while there is none with room.
    /// Cancel-safe: a stream that is opened is returned.
    ///
    /// It waits as long as the peer cannot be reached: put a [timeout](tokio::time::timeout) around
    /// it where that is too long.
    ///
    /// # Errors
    /// Once the pool is closed.
    pub async fn open(&self) -> Result<Stream, PoolClosed> {
        if let Some(link) = self.shared().least_loaded()
            && let Ok(Some(stream)) = link.try_open()
        {
            return Ok(stream);
        }
        self.open_later().await
    }

    async fn open_later(&self) -> Result<Stream, PoolClosed> {
        let mut offer = self.shared().offer.subscribe();
        let _waiting = self.shared().wait();
        loop {
            let mut queue = Queue::new(offer.borrow_and_update().as_ref().ok_or(PoolClosed)?);
            self.0.grow();
            let opened = poll_fn(|cx| queue.poll_open(cx));
            if let Either::First(stream) = race(opened, offer.changed()).await {
                return Ok(stream);
            }
        }
    }

    /// Waits until there is a session to open streams on. Cancel-safe.
    ///
    /// # Errors
    /// Once the pool is closed.
    pub async fn connected(&self) -> Result<(), PoolClosed> {
        let mut offer = self.shared().offer.subscribe();
        let _waiting = self.shared().wait();
        loop {
            let links = offer.borrow_and_update().clone().ok_or(PoolClosed)?;
            if links.iter().any(|link| link.is_usable()) {
                return Ok(());
            }
            self.0.grow();
            // The sender lives as long as this handle.
            let _ = offer.changed().await;
        }
    }

    /// A copy of the pool's counters, those of its sessions summed.
    pub fn stats(&self) -> PoolStats {
        self.shared().stats()
    }

    /// Whether the pool is closed.
    pub fn is_closed(&self) -> bool {
        self.shared().offer.borrow().is_none()
    }

    /// Closes all sessions as [`Session::close`](crate::Session::close) does, and waits for them.
    /// Once polled, closing goes on even if the future is dropped.
    pub async fn close(&self) {
        self.start_close();
        self.ended().await;
    }

    /// Begins what [`close`](Self::close) does, and does not wait for it.
    pub fn start_close(&self) {
        self.shared().end(Phase::Closing);
    }

    /// Opens no more streams, waits until those that are open have ended, at most for `limit`, then
    /// closes. Once polled, it goes on even if the future is dropped.
    pub async fn drain(&self, limit: Duration) {
        self.start_drain(limit);
        self.ended().await;
    }

    /// Begins what [`drain`](Self::drain) does, and does not wait for it.
    pub fn start_drain(&self, limit: Duration) {
        self.shared().end(Phase::Draining(limit));
    }

    /// Waits until the pool is closed and all its sessions have ended. Cancel-safe.
    async fn ended(&self) {
        self.shared().phase.closed().await;
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl PoolBuilder {
    /// Starts the pool, whose sessions `connector` makes.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn start(self, connector: impl Connect) -> Pool {
        let runtime = Handle::current();
        let shared = Arc::new(Shared::new(self.options(), Connector::new(connector)));
        let owner = Owner { shared, runtime };
        owner.grow();
        Pool(Arc::new(owner))
    }
}

/// Ends the pool when the last handle is dropped.
struct Owner {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Owner {
    /// Starts tasks for as many sessions as are needed.
    fn grow(&self) {
        while self.shared.add_keeper() {
            keeper::start(&self.shared, &self.runtime);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.end(Phase::Dropped);
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("stats", &self.shared.stats())
            .finish_non_exhaustive()
    }
}

/// The pool is closed: it opens no more streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolClosed;

impl fmt::Display for PoolClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool of sessions is closed")
    }
}

impl Error for PoolClosed {}

impl From<PoolClosed> for io::Error {
    fn from(closed: PoolClosed) -> Self {
        Self::new(io::ErrorKind::NotConnected, closed)
    }
}
