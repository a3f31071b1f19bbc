//! The streams of all sessions that a server accepts.

mod accept;
mod builder;
mod event;
mod server;

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream as AsyncIterator;
use tokio::sync::{Semaphore, mpsc, watch};

use self::server::Server;
pub use self::{accept::Accept, builder::ListenerBuilder, event::ListenerEvent};
use crate::{
    Session, Stream,
    phase::{self, CloseOnDrop, Phase},
};

/// The streams of all sessions that a TCP, Unix or TLS listener accepts, as one source of
/// connections for a server.
///
/// It is a [`futures_core::Stream`] of them, as `tonic` takes it; with feature `axum` also a
/// `Listener` for `axum::serve`. Each session has a task of its own, and sessions take turns, so
/// that one which opens many streams does not hold up the others.
///
/// Dropping it ends accepting: connections and streams are refused from then on, and each session
/// closes after its last stream. That is what `axum` and `tonic` do at a graceful shutdown; wait
/// for [`ListenerHandle::ended`] afterwards, so that the last answers leave.
///
/// ```
/// use smux_tokio::{Config, Listener, Session};
/// use tokio::{io::AsyncReadExt, net::TcpListener};
/// # use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let tcp = TcpListener::bind("127.0.0.1:0").await?;
/// # let address = tcp.local_addr()?;
/// let mut listener = Listener::tcp(tcp, Config::v2());
/// # let client = Session::connect(address, Config::v2()).await?;
/// # client.open().await?.write_all(b"hello").await?;
/// if let Some(mut stream) = listener.accept().await {
///     let mut text = String::new();
///     stream.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a listener ends when it is dropped"]
pub struct Listener {
    streams: mpsc::Receiver<Stream>,
    handle: ListenerHandle,
    local: Option<SocketAddr>,
}

impl Listener {
    /// The settings of a listener that is to be started.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder::default()
    }

    /// Accepts the next stream of any session; `None` once the listener has been closed or drained.
    /// Cancel-safe.
    pub async fn accept(&mut self) -> Option<Stream> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// [`accept`](Self::accept) as a poll function.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Stream>> {
        self.streams.poll_recv(cx)
    }

    /// A handle that ends the listener and its sessions, wherever the listener is.
    pub fn handle(&self) -> ListenerHandle {
        self.handle.clone()
    }

    /// Where connections are accepted, if that is an address of the internet.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.end(Phase::Dropped);
    }
}

/// As `tonic` takes connections. There are no errors: those of the transport are events.
impl AsyncIterator for Listener {
    type Item = Result<Stream, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(cx).map(|stream| stream.map(Ok))
    }
}

impl ListenerBuilder {
    /// Sessions over any connections: `start` shakes hands, where that is needed, and makes a
    /// session of a connection.
    ///
    /// ```
    /// # use smux_tokio::{Config, Listener, Session};
    /// # use tokio::net::{TcpListener, TcpStream};
    /// # trait Tls: Clone + Send + Sync + 'static {
    /// #     fn accept(
    /// #         &self,
    /// #         tcp: TcpStream,
    /// #     ) -> impl Future<Output = std::io::Result<TcpStream>> + Send;
    /// # }
    /// // `tls` is a `tokio_rustls::TlsAcceptor`.
    /// fn listen(tcp: TcpListener, tls: impl Tls) -> Listener {
    ///     Listener::builder().start(tcp, move |tcp: TcpStream| {
    ///         let tls = tls.clone();
    ///         async move {
    ///             tcp.set_nodelay(true)?;
    ///             let addresses = (tcp.local_addr().ok(), tcp.peer_addr().ok());
    ///             let session = Session::server(tls.accept(tcp).await?, Config::v2());
    ///             Ok::<_, std::io::Error>(session.with_addresses(addresses.0, addresses.1))
    ///         }
    ///     })
    /// }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn start<A, F, R, E>(self, listener: A, start: F) -> Listener
    where
        A: Accept,
        F: Fn(A::Connection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Session, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let options = self.options();
        let max_sessions = options.max_sessions.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(max_sessions));
        let (sender, streams) = mpsc::channel(1);
        let handle = ListenerHandle {
            phase: Arc::new(watch::Sender::new(Phase::Open)),
            places: Arc::clone(&places),
            max_sessions,
        };
        let local = listener.local_addr();
        let server = Server {
            options,
            start,
            streams: sender,
            places,
        };
        let (phase, open) = (handle.phase.subscribe(), Arc::clone(&handle.phase));
        tokio::spawn(async move {
            let _open = CloseOnDrop(open);
            server.run(listener, phase).await;
        });
        Listener {
            streams,
            handle,
            local,
        }
    }
}

/// Ends a [`Listener`] and its sessions. Clones are handles on the same listener, and keep nothing.
#[derive(Clone)]
pub struct ListenerHandle {
    /// Each task of the listener has a receiver, so the end of the last one is noticed.
    phase: Arc<watch::Sender<Phase>>,
    places: Arc<Semaphore>,
    max_sessions: usize,
}

impl ListenerHandle {
    /// How many sessions there are, those that still shake hands included.
    pub fn session_count(&self) -> usize {
        self.max_sessions - self.places.available_permits()
    }

    /// Accepts nothing any more and closes all sessions as [`Session::close`] does, then waits for
    /// them. Once polled, closing goes on even if the future is dropped.
    pub async fn close(&self) {
        self.start_close();
        self.ended().await;
    }

    /// Begins what [`close`](Self::close) does, and does not wait for it.
    pub fn start_close(&self) {
        self.end(Phase::Closing);
    }

    /// Accepts nothing any more, waits until the streams that are open have ended, at most for
    /// `limit`, then closes all sessions. Once polled, it goes on even if the future is dropped.
    pub async fn drain(&self, limit: Duration) {
        self.start_drain(limit);
        self.ended().await;
    }

    /// Begins what [`drain`](Self::drain) does, and does not wait for it.
    pub fn start_drain(&self, limit: Duration) {
        self.end(Phase::Draining(limit));
    }

    /// Waits until the listener is dropped, drained or closed, and all its sessions have ended.
    /// Cancel-safe.
    pub async fn ended(&self) {
        self.phase.closed().await;
    }

    fn end(&self, phase: Phase) {
        phase::enter(&self.phase, phase);
    }
}

impl fmt::Debug for ListenerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerHandle")
            .field("sessions", &self.session_count())
            .finish_non_exhaustive()
    }
}
