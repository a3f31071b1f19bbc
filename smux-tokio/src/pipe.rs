//! Ends a writer that only dropping ends.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

/// A writer that is flushed and dropped by its shutdown, such as the standard input of a child.
///
/// The shutdown of a child's standard input does nothing, so the child never reads its end. A
/// session over it then closes only after its [`close_timeout`](crate::Config::close_timeout).
///
/// ```
/// # use smux_tokio::{Config, DropOnShutdown, Session};
/// # use tokio::io::{AsyncRead, AsyncWrite};
/// # fn start(
/// #     stdout: impl AsyncRead + Send + 'static,
/// #     stdin: impl AsyncWrite + Send + Unpin + 'static,
/// # ) -> Session {
/// // `stdin` and `stdout` were taken from a `tokio::process::Child`.
/// let io = tokio::io::join(stdout, DropOnShutdown::new(stdin));
/// Session::client(io, Config::v2())
/// # }
/// ```
#[derive(Debug)]
pub struct DropOnShutdown<W>(Option<W>);

impl<W> DropOnShutdown<W> {
    /// Wraps `writer`.
    pub fn new(writer: W) -> Self {
        Self(Some(writer))
    }
}

impl<W: AsyncWrite + Unpin> DropOnShutdown<W> {
    fn writer(&mut self) -> io::Result<Pin<&mut W>> {
        let writer = self.0.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pin::new(writer))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for DropOnShutdown<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer()?.poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer()?.poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.as_ref().is_some_and(W::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Ok(writer) = self.writer() {
            ready!(writer.poll_shutdown(cx))?;
        }
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}
