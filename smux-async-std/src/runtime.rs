//! What a runtime adds: constructors that spawn the driver on it, and TCP.

/// Both runtimes get the same functions, so that neither behaves differently.
macro_rules! spawning_constructors {
    ($runtime:literal, $spawn:expr, $TcpStream:ty, $Addresses:path) => {
        use std::{io, net::SocketAddr};

        use futures_io::{AsyncRead, AsyncWrite};

        use crate::{Config, Driver, Session, ShutdownOnClose};

        /// The connecting side's session over `io`, moved by a task of its own.
        ///
        /// Over TCP, [`connect`] or [`client_tcp`] also set `TCP_NODELAY`; without it, small
        /// messages wait for each other.
        pub fn client<T>(io: T, config: Config) -> Session
        where
            T: AsyncRead + AsyncWrite + Send + 'static,
        {
            spawn(Session::client_with_driver(io, config))
        }

        /// The accepting side's session over `io`, moved by a task of its own.
        pub fn server<T>(io: T, config: Config) -> Session
        where
            T: AsyncRead + AsyncWrite + Send + 'static,
        {
            spawn(Session::server_with_driver(io, config))
        }

        /// Connects over TCP. Sets `TCP_NODELAY`.
        ///
        /// # Errors
        #[doc = concat!("Those of ", $runtime, "'s `TcpStream::connect`.")]
        pub async fn connect(address: impl $Addresses, config: Config) -> io::Result<Session> {
            client_tcp(<$TcpStream>::connect(address).await?, config)
        }

        /// [`client`] over a TCP connection, which gets `TCP_NODELAY`. The session knows its
        /// addresses.
        ///
        /// # Errors
        /// If the socket is not connected any more.
        pub fn client_tcp(tcp: $TcpStream, config: Config) -> io::Result<Session> {
            let (io, local, peer) = prepare(tcp)?;
            let (session, driver) = Session::client_with_driver(io, config);
            Ok(spawn((session.with_addresses(local, peer), driver)))
        }

        /// [`server`] over a TCP connection, which gets `TCP_NODELAY`. The session knows its
        /// addresses.
        ///
        /// # Errors
        /// If the socket is not connected any more.
        pub fn server_tcp(tcp: $TcpStream, config: Config) -> io::Result<Session> {
            let (io, local, peer) = prepare(tcp)?;
            let (session, driver) = Session::server_with_driver(io, config);
            Ok(spawn((session.with_addresses(local, peer), driver)))
        }

        type Prepared = (
            ShutdownOnClose<$TcpStream>,
            Option<SocketAddr>,
            Option<SocketAddr>,
        );

        fn prepare(tcp: $TcpStream) -> io::Result<Prepared> {
            tcp.set_nodelay(true)?;
            let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?);
            let io = ShutdownOnClose::new(tcp, <$TcpStream>::shutdown);
            Ok((io, Some(local), Some(peer)))
        }

        fn spawn<T>((session, driver): (Session, Driver<T>)) -> Session
        where
            T: AsyncRead + AsyncWrite + Send + 'static,
        {
            $spawn(driver);
            session
        }
    };
}

/// Sessions whose drivers run on smol's global executor.
#[cfg(feature = "smol")]
pub mod smol {
    use ::smol::net::{AsyncToSocketAddrs, TcpStream};

    spawning_constructors!(
        "smol",
        |driver| ::smol::spawn(driver).detach(),
        TcpStream,
        AsyncToSocketAddrs
    );
}

/// Sessions whose drivers run on async-std's executor.
///
/// async-std is discontinued, and its maintainers point to smol.
#[cfg(feature = "async-std")]
pub mod async_std {
    use ::async_std::{
        net::{TcpStream, ToSocketAddrs},
        task,
    };

    spawning_constructors!("async-std", task::spawn, TcpStream, ToSocketAddrs);
}
