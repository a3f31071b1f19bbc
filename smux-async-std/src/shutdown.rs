//! Ends a socket's writing side where the runtime's socket would not.

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

/// A socket whose `poll_close` flushes and then shuts the writing side, so that the peer reads the
/// end.
///
/// The sockets of async-std and `async_io::Async` only flush there (those of smol do shut it). A
/// session over one of them closes all the same, but only when its
/// [`close_timeout`](crate::Config::close_timeout) is over.
///
/// ```
/// # use async_io::Async;
/// # use smux_async_std::{Config, Driver, Session, ShutdownOnClose};
/// type Tcp = ShutdownOnClose<Async<std::net::TcpStream>>;
///
/// fn start(tcp: Async<std::net::TcpStream>) -> (Session, Driver<Tcp>) {
///     let io = ShutdownOnClose::new(tcp, |tcp, how| tcp.get_ref().shutdown(how));
///     Session::client_with_driver(io, Config::v2())
/// }
/// ```
pub struct ShutdownOnClose<T> {
    socket: T,
    shutdown: fn(&T, Shutdown) -> io::Result<()>,
}

impl<T> ShutdownOnClose<T> {
    /// Wraps `socket`; `shutdown` is called with [`Shutdown::Write`].
    pub fn new(socket: T, shutdown: fn(&T, Shutdown) -> io::Result<()>) -> Self {
        Self { socket, shutdown }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ShutdownOnClose<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read_vectored(cx, bufs)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ShutdownOnClose<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        Poll::Ready(match (self.shutdown)(&self.socket, Shutdown::Write) {
            // Some systems say so of a connection that the peer has closed: there is nothing left
            // to shut.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl<T: fmt::Debug> fmt::Debug for ShutdownOnClose<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShutdownOnClose")
            .field(&self.socket)
            .finish()
    }
}
