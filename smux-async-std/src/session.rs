//! A session over `futures-io`.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream as AsyncIterator;
use futures_io::{AsyncRead, AsyncWrite};
use smux_proto::{
    CloseReason, Config, OpenError, SessionStats, Side, Version,
    poll::{self, Addresses, SessionHandle},
};

use crate::{
    stream::Stream,
    transport::{self, Driver},
};

/// Many streams over one connection. Clones are handles on the same session.
///
/// When the last handle is dropped, streams that the peer opens from then on are refused; those that are
/// open go on. When they are gone too, the session closes as by [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Session {
    handle: SessionHandle,
    addresses: Addresses,
}

impl Session {
    /// The connecting side's session over `io`, and the driver that moves it: nothing happens unless that is polled.
    ///
    /// `io` must end its writing side in `poll_close`, see [`ShutdownOnClose`](crate::ShutdownOnClose). Over TCP, set
    /// `TCP_NODELAY` first; without it, small messages wait for each other.
    ///
    /// ```
    /// # use smol::net::TcpStream;
    /// # use smux_async_std::{CloseReason, ShutdownOnClose};
    /// # use smol::net::TcpListener;
    /// # use smux_async_std::{Config, Session, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let tcp = TcpStream::connect(listener.local_addr()?).await?;
    /// tcp.set_nodelay(true)?;
    /// let io = ShutdownOnClose::new(tcp, TcpStream::shutdown);
    /// let (client, driver) = Session::client_with_driver(io, Config::v2());
    /// let driving = smol::spawn(driver); // or on an executor of your choice
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// # smol::spawn(async move { server.closed().await }).detach();
    /// client.close().await;
    /// assert_eq!(driving.await, CloseReason::Local);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn client_with_driver<T>(io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        Self::start(Side::Client, io, config)
    }

    /// As [`client_with_driver`](Self::client_with_driver), for the accepting side.
    pub fn server_with_driver<T>(io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        Self::start(Side::Server, io, config)
    }

    fn start<T>(side: Side, io: T, config: Config) -> (Self, Driver<T>)
    where
        T: AsyncRead + AsyncWrite,
    {
        let (handle, driver) = transport::start(side, io, config);
        let session = Self {
            handle,
            addresses: Addresses::default(),
        };
        (session, driver)
    }

    /// This handle, and the streams and clones made from it, with these addresses of the transport.
    #[must_use]
    pub fn with_addresses(mut self, local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        self.addresses = Addresses::new(local, peer);
        self
    }

    /// Opens a stream. The peer learns of it together with what is written first; no answer is awaited.
    ///
    /// It waits only while the limit of outbound streams is reached, or until a server that detects the protocol
    /// version knows it. Cancel-safe: a stream that is opened is returned.
    ///
    /// # Errors
    /// Once the session has ended or drains, or when this side has used up its 2^31 stream ids.
    ///
    /// # Example
    /// ```
    /// # use smol::{io::AsyncWriteExt, net::TcpListener};
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"hello").await?; // SYN and data leave together
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn open(&self) -> Result<Stream, OpenError> {
        let handle = self.handle.open().await?;
        Ok(Stream::new(handle, self.addresses.clone()))
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
    /// # use smol::net::TcpListener;
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// # drop(client.open().await?);
    /// # client.close().await;
    /// while let Ok(stream) = server.accept().await {
    ///     println!("stream {} of the peer", stream.id());
    /// }
    /// println!("the session has ended: {:?}", server.close_reason());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn accept(&self) -> Result<Stream, CloseReason> {
        let handle = self.handle.accept().await?;
        Ok(Stream::new(handle, self.addresses.clone()))
    }

    /// The streams that the peer opens, as a [`futures_core::Stream`].
    pub fn incoming(&self) -> Incoming {
        Incoming {
            incoming: self.handle.incoming(),
            addresses: self.addresses.clone(),
        }
    }

    /// Closes the session: sends what is queued, closes the transport's write side, and waits for the peer to do the same,
    /// all within the configured [`close_timeout`](Config::close_timeout). Streams fail from now on, but what has
    /// arrived can still be read.
    ///
    /// Returns [`CloseReason::Local`], or what had ended the session before. Once polled, closing goes on even if the
    /// future is dropped.
    ///
    /// ```
    /// # use smux_async_std::CloseReason;
    /// # use smol::{io::AsyncWriteExt, net::TcpListener};
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// # let peer = smol::spawn(async move { server.closed().await });
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"the last words").await?;
    /// assert_eq!(client.close().await, CloseReason::Local); // they have left
    /// # assert_eq!(peer.await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn close(&self) -> CloseReason {
        self.handle.close().await
    }

    /// Refuses new streams in both directions, waits until those that are open have ended, at most for `limit`, then closes.
    ///
    /// Once polled, it goes on even if the future is dropped.
    ///
    /// ```
    /// # use smux_async_std::CloseReason;
    /// # use std::time::Duration;
    /// # use smol::net::TcpListener;
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// # let stream = client.open().await?;
    /// # let peer = smol::spawn(async move { server.accept().await });
    /// let limit = Duration::from_secs(10);
    /// let draining = smol::spawn({
    ///     let client = client.clone();
    ///     async move { client.drain(limit).await }
    /// });
    /// drop(stream); // the last one: nothing is left to wait for
    /// assert_eq!(draining.await, CloseReason::Local);
    /// # drop(peer);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn drain(&self, limit: Duration) -> CloseReason {
        self.handle.drain(limit).await
    }

    /// Ends the session at once. What is queued is lost.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits until the session has ended, for whatever reason, and its transport is dropped. Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        self.handle.closed().await
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
        self.addresses.local()
    }

    /// The transport's address at the peer, if known: see [`with_addresses`](Self::with_addresses).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.addresses.peer()
    }
}

/// The streams that the peer opens; it ends with the session, whose [`close_reason`](Session::close_reason) says why.
///
/// It keeps the session as a [`Session`] does.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming {
    incoming: poll::Incoming,
    addresses: Addresses,
}

impl AsyncIterator for Incoming {
    type Item = Stream;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Stream>> {
        let accepted = ready!(self.incoming.poll_next(cx));
        let stream = |handle| Stream::new(handle, self.addresses.clone());
        Poll::Ready(accepted.ok().map(stream))
    }
}
