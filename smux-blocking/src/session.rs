//! A session on threads.

use std::{
    fmt,
    hash::{Hash, Hasher},
    io,
    iter::FusedIterator,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use smux_proto::{
    CloseReason, Config, OpenError, SessionStats, Side, StreamId, StreamStats, Version,
    poll::{self, SessionHandle, SessionId, SharedBudget, StreamHandle, WeakSessionHandle},
};

use crate::{
    stream::Stream,
    threads::{self, Direct},
    transport::{Addresses, Transport},
    wait::{TimedWaiter, TimeoutElapsed, Waiter},
};

/// Many streams over one connection. Clones are handles on the same session, for any number of
/// threads.
///
/// When the last handle is dropped, streams that the peer opens from then on are refused; those
/// that are open go on. When they are gone too, the session closes as by [`close`](Self::close).
/// Dropping never waits.
///
/// Two sessions are equal if they are handles on the same one.
#[derive(Clone)]
pub struct Session {
    handle: SessionHandle,
    shared: Arc<Shared>,
}

struct Shared {
    accept: TimedWaiter,
    direct: Direct,
    addresses: Addresses,
}

impl Session {
    /// The connecting side's session over `transport`, moved by two threads that end with the
    /// session.
    ///
    /// # Errors
    /// If the transport is not connected any more, or there are no more threads.
    pub fn client(transport: impl Transport, config: Config) -> io::Result<Self> {
        Self::start(Side::Client, transport, config)
    }

    /// The accepting side's session over `transport`, moved by two threads that end with the
    /// session.
    ///
    /// # Errors
    /// If the transport is not connected any more, or there are no more threads.
    pub fn server(transport: impl Transport, config: Config) -> io::Result<Self> {
        Self::start(Side::Server, transport, config)
    }

    /// Connects over TCP. Sets `TCP_NODELAY`.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect`] and [`client`](Self::client).
    pub fn connect(address: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        Self::client(TcpStream::connect(address)?, config)
    }

    fn start(side: Side, transport: impl Transport, config: Config) -> io::Result<Self> {
        let parts = transport.into_parts()?;
        let addresses = parts.addresses;
        let (handle, direct) = threads::spawn(side, config, parts)?;
        let shared = Arc::new(Shared {
            accept: TimedWaiter::new(),
            direct,
            addresses,
        });
        let (local, peer) = addresses;
        let handle = handle.with_addresses(poll::Addresses::new(local, peer));
        Ok(Self { handle, shared })
    }

    /// This session, which from now on holds received data within `budget`, together with all other
    /// sessions that have it.
    #[must_use]
    pub fn with_shared_budget(mut self, budget: &SharedBudget) -> Self {
        self.handle = self.handle.with_shared_budget(budget);
        self
    }

    /// Opens a stream. The peer learns of it together with what is written first; no answer is
    /// awaited.
    ///
    /// It waits only while the limit of outbound streams is reached, or until a server that detects
    /// the protocol version knows it.
    ///
    /// # Errors
    /// Once the session has ended or drains, or when this side has used up its 2^31 stream ids.
    ///
    /// # Example
    /// ```
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// stream.write_all(b"hello")?; // there is no handshake to wait for
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self) -> Result<Stream, OpenError> {
        let handle = match self.handle.try_open()? {
            Some(handle) => handle,
            // Each thread has a signal of its own: only the one whose turn it is wakes up.
            None => Waiter::new().block_on_future(self.handle.open())?,
        };
        Ok(self.stream(handle))
    }

    fn stream(&self, handle: StreamHandle) -> Stream {
        Stream::new(handle, self.shared.addresses, self.shared.direct.clone())
    }

    /// [`open`](Self::open), if that need not wait; otherwise `None`. It does not overtake waiting
    /// calls.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn try_open(&self) -> Result<Option<Stream>, OpenError> {
        let handle = self.handle.try_open()?;
        Ok(handle.map(|handle| self.stream(handle)))
    }

    /// Accepts the next stream that the peer opened. Several threads may wait here.
    ///
    /// # Errors
    /// The [`CloseReason`] once the session has ended and the streams that arrived before are
    /// accepted; [`TimeoutElapsed`](crate::TimeoutElapsed) after the
    /// [accept timeout](Self::set_accept_timeout).
    ///
    /// # Example
    /// ```
    /// # use std::{net::TcpListener, thread};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # drop(client.open()?);
    /// # let closing = thread::spawn(move || client.close());
    /// while let Ok(stream) = server.accept() {
    ///     println!("stream {} of the peer", stream.id());
    /// }
    /// println!("the session has ended: {:?}", server.close_reason());
    /// # drop(server);
    /// # closing.join().expect("closed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept(&self) -> io::Result<Stream> {
        let handle = self.shared.accept.block_on_future(self.handle.accept())?;
        Ok(self.stream(handle))
    }

    /// How long each [`accept`](Self::accept) may take, on all handles. `None`, the default, means
    /// no limit.
    ///
    /// It also holds for threads that wait already; for them the time counts from now.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is zero.
    ///
    /// # Example
    /// ```
    /// # use std::{net::TcpListener, time::Duration};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// server.set_accept_timeout(Some(Duration::from_millis(10)))?;
    /// let error = server.accept().expect_err("the peer opens no stream");
    /// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_accept_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.accept.set_timeout(timeout)
    }

    /// How long an [`accept`](Self::accept) may take.
    pub fn accept_timeout(&self) -> Option<Duration> {
        self.shared.accept.timeout()
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

    /// The streams that the peer opens, one after the other.
    ///
    /// ```
    /// # use std::{net::TcpListener, thread};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # drop(client.open()?);
    /// # let closing = thread::spawn(move || client.close());
    /// for stream in server.incoming() {
    ///     match stream {
    ///         Ok(stream) => println!("stream {} of the peer", stream.id()),
    ///         Err(reason) => println!("no more streams: {reason}"), // the last item
    ///     }
    /// }
    /// # drop(server);
    /// # closing.join().expect("closed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming {
        Incoming {
            session: self.clone(),
            has_ended: false,
        }
    }

    /// Closes the session: sends what is queued, shuts the transport's write side, and waits for
    /// the peer to do the same, all within the configured [`close_timeout`](Config::close_timeout).
    /// Streams fail from now on, but what has arrived can still be read.
    ///
    /// Returns [`CloseReason::Local`], or what had ended the session before.
    ///
    /// ```
    /// # use smux_blocking::CloseReason;
    /// # use std::{io::Write, net::TcpListener, thread};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # let peer = thread::spawn(move || server.closed());
    /// let mut stream = client.open()?;
    /// stream.write_all(b"the last words")?;
    /// assert_eq!(client.close(), CloseReason::Local); // they have left
    /// # assert_eq!(peer.join().expect("ended"), CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) -> CloseReason {
        Waiter::new().block_on_future(self.handle.close())
    }

    /// Begins what [`close`](Self::close) does, and does not wait for it.
    pub fn start_close(&self) {
        self.handle.start_close();
    }

    /// Refuses new streams in both directions, waits until those that are open have ended, at most
    /// for `limit`, then closes.
    ///
    /// ```
    /// # use smux_blocking::CloseReason;
    /// # use std::{net::TcpListener, thread, time::Duration};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # let stream = client.open()?;
    /// # let peer = thread::spawn(move || server.closed());
    /// let draining = thread::spawn({
    ///     let client = client.clone();
    ///     move || client.drain(Duration::from_secs(10))
    /// });
    /// drop(stream); // the last one: nothing is left to wait for
    /// assert_eq!(draining.join().expect("drained"), CloseReason::Local);
    /// # assert_eq!(peer.join().expect("ended"), CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self, limit: Duration) -> CloseReason {
        Waiter::new().block_on_future(self.handle.drain(limit))
    }

    /// Begins what [`drain`](Self::drain) does, and does not wait for it.
    pub fn start_drain(&self, limit: Duration) {
        self.handle.start_drain(limit);
    }

    /// Ends the session at once. What is queued is lost. It does not wait.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits until the session has ended, for whatever reason, and its transport is dropped.
    ///
    /// The waiting handle keeps the session open, so it does not close by itself. To watch a
    /// session, take [`on_closed`](Self::on_closed).
    pub fn closed(&self) -> CloseReason {
        self.on_closed().wait()
    }

    /// A wait for the end of the session, for a thread that watches it. It does not keep the
    /// session.
    pub fn on_closed(&self) -> OnClosed {
        OnClosed(Box::pin(self.handle.on_closed()))
    }

    /// A weak handle, which does not keep the session open: for metrics, pools and other watchers.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession {
            handle: self.handle.downgrade(),
            shared: Arc::clone(&self.shared),
        }
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
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// stream.write_all(b"hello")?;
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

    /// The transport's address here, if known: of TCP, and of [`Parts`](crate::Parts) that were
    /// given one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.0
    }

    /// The transport's address at the peer, if known.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.1
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl Eq for Session {}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.handle)
            .field("addresses", &self.shared.addresses)
            .finish()
    }
}

/// A weak handle: it does not keep its [`Session`] from closing by itself.
#[derive(Clone)]
pub struct WeakSession {
    handle: WeakSessionHandle,
    shared: Arc<Shared>,
}

impl WeakSession {
    /// The session; `None` once all its handles and streams are gone.
    ///
    /// If only streams are left, the session refuses the peer's new streams, and still does with
    /// the new handle.
    pub fn upgrade(&self) -> Option<Session> {
        let handle = self.handle.upgrade()?;
        let shared = Arc::clone(&self.shared);
        Some(Session { handle, shared })
    }

    /// The session's number.
    pub fn id(&self) -> SessionId {
        self.handle.id()
    }
}

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// A wait for the end of a [`Session`] that does not keep it.
pub struct OnClosed(Pin<Box<dyn Future<Output = CloseReason> + Send + Sync>>);

impl OnClosed {
    /// Waits until the session has ended, for whatever reason, and its transport is dropped.
    pub fn wait(self) -> CloseReason {
        Waiter::new().block_on_future(self.0)
    }
}

impl fmt::Debug for OnClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnClosed").finish_non_exhaustive()
    }
}

/// The streams that the peer opens. The last item is an error: why the session has ended.
///
/// After an [accept timeout](Session::set_accept_timeout) an item is [`TimeoutElapsed`], and more
/// follow. It keeps the session open, as a [`Session`] does.
#[derive(Debug)]
pub struct Incoming {
    session: Session,
    has_ended: bool,
}

impl Iterator for Incoming {
    type Item = io::Result<Stream>;

    fn next(&mut self) -> Option<io::Result<Stream>> {
        if self.has_ended {
            return None;
        }
        let accepted = self.session.accept();
        self.has_ended = accepted.as_ref().is_err_and(|error| {
            let inner = error.get_ref();
            !inner.is_some_and(|inner| inner.is::<TimeoutElapsed>())
        });
        Some(accepted)
    }
}

impl FusedIterator for Incoming {}
