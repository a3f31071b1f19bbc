//! How the conformance suite runs on either runtime.

use futures_rustls::{TlsAcceptor, TlsConnector, client, server};
use smol::{
    block_on,
    future::try_zip,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
};
use smux_async_std::{Session, Stream};
use smux_conformance::{
    host,
    suite::{host_impl::park, tls},
};

host! {
    sessions: Session,
    streams: Stream,
    readers: AsyncReadExt,
    lenders: AsyncBufReadExt,
    writers: AsyncWriteExt,
    wait: park,
    with: (),
    finish: |stream| stream.close(),
    split: |stream| stream.into_split(),
}

/// Both ends of a TLS connection over this one.
pub(crate) fn handshake<T>(near: T, far: T) -> (client::TlsStream<T>, server::TlsStream<T>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (client, name, server) = tls::configs();
    let near = TlsConnector::from(client).connect(name, near);
    let far = TlsAcceptor::from(server).accept(far);
    block_on(try_zip(near, far)).expect("a handshake")
}

/// `Runtime`: sessions from the constructors of one runtime, over its sockets.
macro_rules! runtime {
    ($constructors:path, $TcpStream:ty, $UnixStream:ty) => {
        use smol::io::{AsyncRead, AsyncWrite};
        use smux_async_std::{Config, Session, ShutdownOnClose, Side};
        use smux_conformance::suite::connection::{Connection, tcp_pair};
        use smux_conformance::suite::host::Adapter;
        use $constructors as constructors;

        struct Runtime;

        impl Adapter for Runtime {
            type Session = Hosted<Session>;

            fn connect(&self, side: Side, config: Config, connection: Connection) -> Self::Session {
                match connection {
                    Connection::Tcp(tcp) => {
                        let tcp = <$TcpStream>::try_from(tcp).expect("a socket");
                        let session = match side {
                            Side::Client => constructors::client_tcp(tcp, config),
                            Side::Server => constructors::server_tcp(tcp, config),
                        };
                        Hosted(session.expect("it is connected"), ())
                    }
                    #[cfg(unix)]
                    Connection::Unix(unix) => {
                        let unix = <$UnixStream>::try_from(unix).expect("a socket");
                        let io = ShutdownOnClose::new(unix, <$UnixStream>::shutdown);
                        start(side, config, io)
                    }
                    Connection::Memory(memory) => start(side, config, memory),
                }
            }
        }

        /// TLS over TCP.
        fn tls(_: &Runtime, client: Config, server: Config) -> (Hosted<Session>, Hosted<Session>) {
            let (near, far) = tcp_pair();
            let [near, far] = [near, far].map(|tcp| {
                let tcp = <$TcpStream>::try_from(tcp).expect("a socket");
                ShutdownOnClose::new(tcp, <$TcpStream>::shutdown)
            });
            let (near, far) = common::handshake(near, far);
            (
                start(Side::Client, client, near),
                start(Side::Server, server, far),
            )
        }

        fn start<T>(side: Side, config: Config, io: T) -> Hosted<Session>
        where
            T: AsyncRead + AsyncWrite + Send + 'static,
        {
            let session = match side {
                Side::Client => constructors::client(io, config),
                Side::Server => constructors::server(io, config),
            };
            Hosted(session, ())
        }
    };
}
pub(crate) use runtime;
