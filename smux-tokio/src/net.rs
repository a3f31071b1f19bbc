//! Sessions and listeners over tokio's sockets.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::{Accept, Config, Driver, Listener, ListenerBuilder, Session, TcpOptions};

#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
impl Session {
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
        Self::start_tcp(tcp, config, Self::client_with_driver)
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
        Self::start_tcp(tcp, config, Self::server_with_driver)
    }

    /// The addresses are known before the driver runs, so that all that is logged has them.
    fn start_tcp(
        tcp: TcpStream,
        config: Config,
        start: fn(TcpStream, Config) -> (Self, Driver<TcpStream>),
    ) -> io::Result<Self> {
        let (local, peer) = prepare(&tcp)?;
        let (session, driver) = start(tcp, config);
        let session = session.with_addresses(local, peer);
        tokio::spawn(driver);
        Ok(session)
    }
}

fn prepare(tcp: &TcpStream) -> io::Result<(Option<SocketAddr>, Option<SocketAddr>)> {
    TcpOptions::default().apply(tcp)?;
    Ok((Some(tcp.local_addr()?), Some(tcp.peer_addr()?)))
}

#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
impl Listener {
    /// Sessions over TCP connections, which get the options of [`TcpOptions`].
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn tcp(listener: TcpListener, config: Config) -> Self {
        Self::builder().tcp(listener, config)
    }

    /// Sessions over connections of a Unix socket.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[cfg(unix)]
    #[track_caller]
    pub fn unix(listener: UnixListener, config: Config) -> Self {
        Self::builder().unix(listener, config)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
impl ListenerBuilder {
    /// Sessions over TCP connections, which get the options of [`TcpOptions`].
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[track_caller]
    pub fn tcp(self, listener: TcpListener, config: Config) -> Listener {
        self.start(listener, move |tcp| {
            let session = Session::server_tcp(tcp, config.clone());
            async { session }
        })
    }

    /// Sessions over connections of a Unix socket.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    #[cfg(unix)]
    #[track_caller]
    pub fn unix(self, listener: UnixListener, config: Config) -> Listener {
        self.start(listener, move |unix| {
            let session = Session::server(unix, config.clone());
            async { Ok::<_, std::convert::Infallible>(session) }
        })
    }
}

impl Accept for TcpListener {
    type Connection = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        Ok(Self::accept(self).await?.0)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }
}

#[cfg(unix)]
impl Accept for UnixListener {
    type Connection = UnixStream;

    async fn accept(&mut self) -> io::Result<Self::Connection> {
        Ok(Self::accept(self).await?.0)
    }
}
