//! How the conformance suite runs on either runtime.

pub(crate) mod tls;

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use smol::{
    block_on,
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
};
use smux_async_std::{CloseReason, Session, SessionStats, Stream, StreamId};
use smux_conformance::suite::host::{HostSession, HostStream};

/// `Runtime`: sessions from the constructors of one runtime, over its sockets. Its pairs are joined by what the function makes.
macro_rules! runtime {
    ($constructors:path, $TcpStream:ty, $UnixStream:ty) => {
        use smol::io::{AsyncRead, AsyncWrite};
        use smux_async_std::{Config, Session, ShutdownOnClose, Side};
        use smux_conformance::suite::{carrier::tcp_pair, host::Adapter};
        use $constructors as constructors;

        struct Runtime(fn() -> (Carrier, Carrier));

        impl Adapter for Runtime {
            type Session = common::Blocking<Session>;

            fn connect(&self, side: Side, config: Config, carrier: Carrier) -> Self::Session {
                common::Blocking(match carrier {
                    Carrier::Tcp(tcp) => {
                        let tcp = <$TcpStream>::try_from(tcp).expect("a socket");
                        match side {
                            Side::Client => constructors::client_tcp(tcp, config),
                            Side::Server => constructors::server_tcp(tcp, config),
                        }
                        .expect("it is connected")
                    }
                    #[cfg(unix)]
                    Carrier::Unix(unix) => {
                        let unix = <$UnixStream>::try_from(unix).expect("a socket");
                        start(
                            side,
                            config,
                            ShutdownOnClose::new(unix, <$UnixStream>::shutdown),
                        )
                    }
                    Carrier::Memory(memory) => start(side, config, memory),
                })
            }

            fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session) {
                let (near, far) = (self.0)();
                (
                    self.connect(Side::Client, client, near),
                    self.connect(Side::Server, server, far),
                )
            }
        }

        /// TLS over TCP: what is written must be flushed, and its end is a message of its own.
        struct OverTls(Runtime);

        impl Adapter for OverTls {
            type Session = common::Blocking<Session>;

            fn connect(&self, side: Side, config: Config, carrier: Carrier) -> Self::Session {
                self.0.connect(side, config, carrier)
            }

            fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session) {
                let (near, far) = tcp_pair();
                let [near, far] = [near, far].map(|tcp| {
                    let tcp = <$TcpStream>::try_from(tcp).expect("a socket");
                    ShutdownOnClose::new(tcp, <$TcpStream>::shutdown)
                });
                let (near, far) = common::tls::handshake(near, far);
                (
                    common::Blocking(start(Side::Client, client, near)),
                    common::Blocking(start(Side::Server, server, far)),
                )
            }
        }

        fn start<T>(side: Side, config: Config, io: T) -> Session
        where
            T: AsyncRead + AsyncWrite + Send + 'static,
        {
            match side {
                Side::Client => constructors::client(io, config),
                Side::Server => constructors::server(io, config),
            }
        }
    };
}
pub(crate) use runtime;

/// Something asynchronous whose calls wait.
#[derive(Clone)]
pub(crate) struct Blocking<T>(pub(crate) T);

impl HostSession for Blocking<Session> {
    type Stream = Blocking<Stream>;

    fn open(&self) -> io::Result<Blocking<Stream>> {
        Ok(Blocking(block_on(self.0.open())?))
    }

    fn accept(&self) -> io::Result<Blocking<Stream>> {
        Ok(Blocking(block_on(self.0.accept())?))
    }

    fn close(&self) -> CloseReason {
        block_on(self.0.close())
    }

    fn drain(&self, limit: Duration) -> CloseReason {
        block_on(self.0.drain(limit))
    }

    fn abort(&self) {
        self.0.abort();
    }

    fn closed(&self) -> CloseReason {
        block_on(self.0.closed())
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }

    fn streams(&self) -> usize {
        self.0.streams()
    }

    fn stats(&self) -> SessionStats {
        self.0.stats()
    }
}

impl HostStream for Blocking<Stream> {
    fn id(&self) -> StreamId {
        self.0.id()
    }

    fn finish(&mut self) -> io::Result<()> {
        block_on(self.0.close())
    }

    fn split(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
        let (read, write) = self.0.into_split();
        (Box::new(Blocking(read)), Box::new(Blocking(write)))
    }
}

impl<T: AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        block_on(self.0.read(buf))
    }
}

impl<T: AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(self.0.flush())
    }
}
