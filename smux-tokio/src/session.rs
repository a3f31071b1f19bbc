//! A session on tokio.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::{Stream as AsyncIterator, stream::FusedStream as FusedAsyncIterator};
use smux_proto::{
    CloseReason, Config, OpenError, SessionStats, Side, StreamId, StreamStats, Version,
    poll::{self, Addresses, SessionHandle, SessionId, SharedBudget, WeakSessionHandle},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs},
    runtime::Handle,
    task::coop::{cooperative, poll_proceed},
};

use crate::{
    stream::Stream,
    tcp::TcpOptions,
    transport::{self, Driver},
};

/// Many streams over one connection. Clones are handles on the same session.
///
/// When the last handle is dropped, streams that the peer opens from then on are refused; those
/// that are open go on. When they are gone too, the session closes as by [`close`](Self::close).
///
/// Two sessions are equal if they are handles on the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    handle: SessionHandle,
}

impl Session {
    /// The connecting side's session over `io`, moved by a task of its own.
    ///
    /// Over TCP, [`connect`](Self::connect) or [`client_tcp`](Self::client_tcp) also set
    /// `TCP_NODELAY`; without it, small messages wait for each other.
    ///
    /// A shutdown of `io` must end its writing side, or [`close`](Self::close) waits for all of its
    /// [`close_timeout`](Config::close_timeout). That of a child's standard input does not: see
    /// [`DropOnShutdown`](crate::DropOnShutdown).
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn client<T>(io: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (session, driver) = Self::client_with_driver(io, config);
        tokio::spawn(driver);
        session
    }

    /// The accepting side's session over `io`, moved by a task of its own.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn server<T>(io: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (session, driver) = Self::server_with_driver(io, config);
        tokio::spawn(driver);
        session
    }

    /// As [`client`](Self::client), without a task: nothing happens unless the driver is polled.
    ///
    /// ```
    /// # use smux_tokio::CloseReason;
    /// # use smux_tokio::{Config, Session};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (near, far) = tokio::io::duplex(64 * 1024);
    /// let (client, driver) = Session::client_with_driver(near, Config::v2());
    /// let driving = tokio::spawn(driver); // or in a task, thread or runtime of your choice
    /// # let server = Session::server(far, Config::v2());
    /// # tokio::spawn(async move { server.closed().await });
    /// client.close().await;
    /// assert_eq!(driving.await?, CloseReason::Local);
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_with_driver<T>(io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        Self::start(Side::Client, io, config)
    }

    /// As [`server`](Self::server), without a task: nothing happens unless the driver is polled.
    pub fn server_with_driver<T>(io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        Self::start(Side::Server, io, config)
    }

    /// As [`client`](Self::client), on a runtime of the caller's choice, and outside of any.
    ///
    /// tokio keeps the task that moves a session on the thread of the reader that it served last. A
    /// task that computes for long between its reads then delays all streams of the session, even
    /// if other threads are idle. On a runtime of its own, for instance with one thread for all
    /// sessions, a session waits for no such task.
    pub fn client_on<T>(runtime: &Handle, io: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (session, driver) = Self::client_with_driver(io, config);
        runtime.spawn(driver);
        session
    }

    /// As [`client_on`](Self::client_on), for the accepting side.
    pub fn server_on<T>(runtime: &Handle, io: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (session, driver) = Self::server_with_driver(io, config);
        runtime.spawn(driver);
        session
    }

    fn start<T>(side: Side, io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        let (handle, driver) = transport::start(side, io, config);
        (Self { handle }, driver)
    }

    /// Connects over TCP. Sets the options of [`TcpOptions`].
    ///
    /// # Errors
    /// Those of [`TcpStream::connect`].
    pub async fn connect(address: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        Self::client_tcp(TcpStream::connect(address).await?, config)
    }

    /// [`client`](Self::client) over a TCP connection, which gets the options of [`TcpOptions`].
    /// The session knows its addresses.
    ///
    /// # Errors
    /// If the socket is not connected any more.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    pub fn client_tcp(tcp: TcpStream, config: Config) -> io::Result<Self> {
        Self::start_tcp(Side::Client, tcp, config)
    }

    /// [`server`](Self::server) over a TCP connection, which gets the options of [`TcpOptions`].
    /// The session knows its addresses.
    ///
    /// # Errors
    /// If the socket is not connected any more.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    pub fn server_tcp(tcp: TcpStream, config: Config) -> io::Result<Self> {
        Self::start_tcp(Side::Server, tcp, config)
    }

    /// The addresses are known before the driver runs, so that all that is logged has them.
    fn start_tcp(side: Side, tcp: TcpStream, config: Config) -> io::Result<Self> {
        let (local, peer) = prepare(&tcp)?;
        let (session, driver) = Self::start(side, tcp, config);
        let session = session.with_addresses(local, peer);
        tokio::spawn(driver);
        Ok(session)
    }

    /// This handle, and the streams and clones made from it, with these addresses: for transports
    /// other than bare TCP.
    #[must_use]
    pub fn with_addresses(mut self, local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        let addresses = Addresses::new(local, peer);
        self.handle = self.handle.with_addresses(addresses);
        self
    }

    /// This session, which from now on holds received data within `budget`, together with all other
    /// sessions that have it.
    ///
    /// ```
    /// # use smux_tokio::{Config, Session};
    /// use smux_tokio::SharedBudget;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (_far, near) = tokio::io::duplex(64 * 1024);
    ///
    /// let budget = SharedBudget::new(1 << 30); // bytes, for all sessions of the process
    /// let session = Session::server(near, Config::v2()).with_shared_budget(&budget);
    /// # drop(session);
    /// assert!(budget.held() <= budget.limit());
    /// # }
    /// ```
    #[must_use]
    pub fn with_shared_budget(mut self, budget: &SharedBudget) -> Self {
        self.handle = self.handle.with_shared_budget(budget);
        self
    }

    /// Opens a stream. The peer learns of it together with what is written first; no answer is
    /// awaited.
    ///
    /// It waits only while the limit of outbound streams is reached, or until a server that detects
    /// the protocol version knows it. Cancel-safe: a stream that is opened is returned.
    ///
    /// # Errors
    /// Once the session has ended or drains, or when this side has used up its 2^31 stream ids.
    ///
    /// # Example
    /// ```
    /// # use smux_tokio::{Config, Session};
    /// # use tokio::io::AsyncWriteExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (near, far) = tokio::io::duplex(64 * 1024);
    /// # let client = Session::client(near, Config::v2());
    /// # let server = Session::server(far, Config::v2());
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"hello").await?; // there is no handshake to wait for
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(&self) -> Result<Stream, OpenError> {
        let handle = cooperative(self.handle.open()).await?;
        Ok(Stream::new(handle))
    }

    /// [`open`](Self::open) as a poll function. While it is pending, this handle keeps its place in
    /// the queue.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, OpenError>> {
        let budget = ready!(poll_proceed(cx));
        let opened = ready!(self.handle.poll_open(cx));
        budget.made_progress();
        Poll::Ready(opened.map(Stream::new))
    }

    /// [`open`](Self::open), if that need not wait; otherwise `None`. It does not overtake waiting
    /// calls.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn try_open(&self) -> Result<Option<Stream>, OpenError> {
        Ok(self.handle.try_open()?.map(Stream::new))
    }

    /// Accepts the next stream that the peer opened. Several tasks may wait here.
    ///
    /// Cancel-safe: a stream that is not returned stays in the queue.
    ///
    /// # Errors
    /// Once the session has ended and the streams that arrived before are accepted.
    ///
    /// # Example
    /// ```
    /// # use smux_tokio::{Config, Session};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (near, far) = tokio::io::duplex(64 * 1024);
    /// # let client = Session::client(near, Config::v2());
    /// # let server = Session::server(far, Config::v2());
    /// # drop(client.open().await?);
    /// # client.close().await;
    /// while let Ok(stream) = server.accept().await {
    ///     println!("stream {} of the peer", stream.id());
    /// }
    /// println!("the session has ended: {:?}", server.close_reason());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> Result<Stream, CloseReason> {
        let handle = cooperative(self.handle.accept()).await?;
        Ok(Stream::new(handle))
    }

    /// [`accept`](Self::accept) as a poll function. While it is pending, this handle keeps its
    /// place in the queue.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, CloseReason>> {
        let budget = ready!(poll_proceed(cx));
        let accepted = ready!(self.handle.poll_accept(cx));
        budget.made_progress();
        Poll::Ready(accepted.map(Stream::new))
    }

    /// Refuses the streams that the peer opens from now on, and closes those that wait to be
    /// accepted.
    ///
    /// A client that accepts nothing should call this. Otherwise, in version 1, data of a stream
    /// that is never accepted fills the receive buffer and then holds up all others. It cannot be
    /// undone.
    pub fn stop_accepting(&self) {
        self.handle.stop_accepting();
    }

    /// The streams that the peer opens, as a [`futures_core::Stream`].
    pub fn incoming(&self) -> Incoming {
        Incoming {
            incoming: self.handle.incoming(),
            has_ended: false,
        }
    }

    /// Closes the session: sends what is queued, shuts the transport's write side, and waits for
    /// the peer to do the same, all within the configured [`close_timeout`](Config::close_timeout).
    /// Streams fail from now on, but what has arrived can still be read.
    ///
    /// Returns [`CloseReason::Local`], or what had ended the session before. Once polled, closing
    /// goes on even if the future is dropped.
    ///
    /// ```
    /// # use smux_tokio::CloseReason;
    /// # use smux_tokio::{Config, Session};
    /// # use tokio::io::AsyncWriteExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (near, far) = tokio::io::duplex(64 * 1024);
    /// # let client = Session::client(near, Config::v2());
    /// # let server = Session::server(far, Config::v2());
    /// # let peer = tokio::spawn(async move { server.closed().await });
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"the last words").await?;
    /// assert_eq!(client.close().await, CloseReason::Local); // they have left
    /// # assert_eq!(peer.await?, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) -> CloseReason {
        self.handle.close().await
    }

    /// Begins what [`close`](Self::close) does, and does not wait for it.
    pub fn start_close(&self) {
        self.handle.start_close();
    }

    /// Refuses new streams in both directions, waits until those that are open have ended, at most
    /// for `limit`, then closes.
    ///
    /// Once polled, it goes on even if the future is dropped.
    ///
    /// ```
    /// # use smux_tokio::CloseReason;
    /// # use std::time::Duration;
    /// # use smux_tokio::{Config, Session};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (near, far) = tokio::io::duplex(64 * 1024);
    /// # let client = Session::client(near, Config::v2());
    /// # let server = Session::server(far, Config::v2());
    /// # let stream = client.open().await?;
    /// # let peer = tokio::spawn(async move { server.accept().await });
    /// let limit = Duration::from_secs(10);
    /// let draining = tokio::spawn({
    ///     let client = client.clone();
    ///     async move { client.drain(limit).await }
    /// });
    /// drop(stream); // the last one: nothing is left to wait for
    /// assert_eq!(draining.await?, CloseReason::Local);
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(&self, limit: Duration) -> CloseReason {
        self.handle.drain(limit).await
    }

    /// Begins what [`drain`](Self::drain) does, and does not wait for it.
    pub fn start_drain(&self, limit: Duration) {
        self.handle.start_drain(limit);
    }

    /// Ends the session at once. What is queued is lost.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits until the session has ended, for whatever reason, and its transport is dropped.
    /// Cancel-safe.
    ///
    /// The waiting handle keeps the session open, so it does not close by itself. To watch a
    /// session, take [`on_closed`](Self::on_closed).
    pub async fn closed(&self) -> CloseReason {
        self.handle.closed().await
    }

    /// Resolves when the session has ended, for whatever reason, and its transport is dropped. The
    /// future does not keep the session open, so a separate task can wait for it.
    pub fn on_closed(&self) -> impl Future<Output = CloseReason> + Send + Sync + Unpin + use<> {
        self.handle.on_closed()
    }

    /// A weak handle, which does not keep the session open: for metrics, pools and other watchers.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession(self.handle.downgrade())
    }

    /// The session's number, which no other session of this process has.
    pub fn id(&self) -> SessionId {
        self.handle.id()
    }

    /// Whether the session has ended or is closing.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Why the session has ended or is closing.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.handle.close_reason()
    }

    /// How many streams there are: open, half-closed, being closed, and waiting to be accepted.
    pub fn stream_count(&self) -> usize {
        self.handle.stream_count()
    }

    /// The streams that the application holds, each with its [`StreamStats`]: state, priority,
    /// windows and what limits them, bytes queued and unread. In no particular order; those that
    /// wait to be accepted are not among them.
    ///
    /// It is a copy, made under the session's lock: its cost grows with the number of streams.
    ///
    /// ```
    /// # use smux_tokio::{Config, Session};
    /// # use tokio::io::AsyncWriteExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (near, far) = tokio::io::duplex(64 * 1024);
    /// # let client = Session::client(near, Config::v2());
    /// # let server = Session::server(far, Config::v2());
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"hello").await?;
    /// for (id, stats) in client.streams() {
    ///     println!("{id}: {}, {} bytes unsent", stats.state, stats.unsent);
    /// }
    /// assert_eq!(client.streams().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn streams(&self) -> Vec<(StreamId, StreamStats)> {
        self.handle.streams()
    }

    /// A copy of the session's counters.
    pub fn stats(&self) -> SessionStats {
        self.handle.stats()
    }

    /// Whether this is the client or the server.
    pub fn side(&self) -> Side {
        self.handle.side()
    }

    /// The protocol version; `None` while a server that detects it has not received a frame.
    pub fn version(&self) -> Option<Version> {
        self.handle.version()
    }

    /// A copy of the session's configuration.
    pub fn config(&self) -> Config {
        self.handle.config()
    }

    /// The transport's address here, if known: see [`with_addresses`](Self::with_addresses).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.addresses().local()
    }

    /// The transport's address at the peer, if known: see [`with_addresses`](Self::with_addresses).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.handle.addresses().peer()
    }
}

fn prepare(tcp: &TcpStream) -> io::Result<(Option<SocketAddr>, Option<SocketAddr>)> {
    TcpOptions::default().apply(tcp)?;
    Ok((Some(tcp.local_addr()?), Some(tcp.peer_addr()?)))
}

/// A weak handle: it does not keep its [`Session`] from closing by itself.
#[derive(Clone, Debug)]
pub struct WeakSession(WeakSessionHandle);

impl WeakSession {
    /// The session; `None` once all its handles and streams are gone.
    ///
    /// If only streams are left, the session refuses the peer's new streams, and still does with
    /// the new handle.
    pub fn upgrade(&self) -> Option<Session> {
        let handle = self.0.upgrade()?;
        Some(Session { handle })
    }

    /// The session's number.
    pub fn id(&self) -> SessionId {
        self.0.id()
    }
}

/// The streams that the peer opens. The last item is an error: why the session has ended.
///
/// It keeps the session open, as a [`Session`] does.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming {
    incoming: poll::Incoming,
    has_ended: bool,
}

impl AsyncIterator for Incoming {
    type Item = Result<Stream, CloseReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let budget = ready!(poll_proceed(cx));
        let accepted = ready!(self.incoming.poll_next(cx));
        budget.made_progress();
        self.has_ended = accepted.is_err();
        Poll::Ready(Some(accepted.map(Stream::new)))
    }
}

impl FusedAsyncIterator for Incoming {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}
