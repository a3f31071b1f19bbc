//! The halves of a stream, for two tasks.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_io::{AsyncBufRead, AsyncWrite};
use smux_proto::{
    Priority, StreamError, StreamId,
    poll::{self, ReadHandle, StreamHandle, WriteHandle},
};

use crate::{copy::copy_to, stream::Stream};

/// The reading half of a [`Stream`].
///
/// Dropping it alone discards what has arrived and what still arrives, as [`Stream::stop_reading`];
/// the writing half can go on. When both are dropped, the stream closes.
#[derive(Debug)]
pub struct OwnedReadHalf {
    half: ReadHandle,
    /// What `poll_fill_buf` has lent, until it is consumed.
    lent: Bytes,
}

/// The writing half of a [`Stream`].
///
/// Dropping it alone ends our data after everything queued, as `close` does; the reading half can
/// go on. When both are dropped, the stream closes.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    half: WriteHandle,
}

impl Stream {
    /// Two halves for two tasks. [`OwnedReadHalf::reunite`] joins them again.
    ///
    /// ```
    /// # use smol::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let (mut read, mut write) = client.open().await?.into_split();
    /// # smol::spawn(async move {
    /// #     let (mut read, mut write) = server.accept().await?.into_split();
    /// #     read.copy_to(&mut write).await
    /// # }).detach();
    /// write.write_all(b"hello").await?;
    /// drop(write); // ends our data
    ///
    /// let mut echo = Vec::new();
    /// read.read_to_end(&mut echo).await?;
    /// assert_eq!(echo, b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let (read, write) = self.into_handle().into_split();
        (OwnedReadHalf::new(read), OwnedWriteHalf { half: write })
    }
}

impl OwnedReadHalf {
    fn new(half: ReadHandle) -> Self {
        let lent = Bytes::new();
        Self { half, lent }
    }

    pub(crate) fn handle(&self) -> &StreamHandle {
        self.half.stream()
    }

    /// As [`Stream::reader`].
    pub(crate) fn reader(&mut self) -> &StreamHandle {
        if !self.lent.is_empty() {
            self.lent = Bytes::new();
        }
        self.half.stream()
    }

    /// The stream's number, unique within its session.
    pub fn id(&self) -> StreamId {
        self.handle().id()
    }

    /// As [`Stream::read_bytes`].
    ///
    /// # Errors
    /// Same errors as reading.
    pub async fn read_bytes(&mut self, max: usize) -> io::Result<Bytes> {
        Ok(self.reader().read_bytes(max).await?)
    }

    /// As [`Stream::poll_read_bytes`].
    ///
    /// # Errors
    /// Same errors as reading.
    pub fn poll_read_bytes(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        let read = self.reader().poll_read_bytes(cx, max);
        read.map_err(io::Error::from)
    }

    /// As [`Stream::copy_to`].
    ///
    /// # Errors
    /// Same errors as reading, or those of `writer`.
    pub async fn copy_to<W>(&mut self, writer: &mut W) -> io::Result<u64>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        copy_to(self.reader(), writer).await
    }

    /// As [`Stream::peer_finished`].
    pub fn peer_finished(&self) -> bool {
        self.handle().peer_finished()
    }

    /// Joins the two halves of one stream.
    ///
    /// # Errors
    /// Gives the halves back if they belong to different streams.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<Stream, ReuniteError> {
        match self.half.reunite(write.half) {
            Ok(handle) => Ok(Stream::new(handle)),
            Err(poll::ReuniteError(read, write)) => Err(ReuniteError(
                Self::new(read),
                OwnedWriteHalf { half: write },
            )),
        }
    }
}

impl OwnedWriteHalf {
    pub(crate) fn handle(&self) -> &StreamHandle {
        self.half.stream()
    }

    /// The stream's number, unique within its session.
    pub fn id(&self) -> StreamId {
        self.handle().id()
    }

    /// As [`Stream::write_bytes`].
    ///
    /// # Errors
    /// Same errors as writing.
    pub async fn write_bytes(&mut self, data: &mut Bytes) -> io::Result<usize> {
        Ok(self.handle().write_bytes(data).await?)
    }

    /// As [`Stream::poll_write_bytes`].
    ///
    /// # Errors
    /// Same errors as writing.
    pub fn poll_write_bytes(
        &mut self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let written = self.handle().poll_write_bytes(cx, data);
        written.map_err(io::Error::from)
    }

    /// As [`Stream::write_all_bytes`].
    ///
    /// # Errors
    /// Same errors as writing.
    pub async fn write_all_bytes(&mut self, data: &mut Bytes) -> io::Result<()> {
        Ok(self.handle().write_all_bytes(data).await?)
    }

    /// As [`Stream::set_priority`].
    pub fn set_priority(&self, priority: Priority) {
        self.handle().set_priority(priority);
    }

    /// As [`Stream::priority`].
    pub fn priority(&self) -> Priority {
        self.handle().priority()
    }

    /// As [`Stream::finish`].
    pub fn finish(&mut self) {
        self.handle().finish();
    }

    /// As [`Stream::stopped`].
    ///
    /// # Errors
    /// As [`Stream::stopped`].
    pub fn stopped(
        &self,
    ) -> impl Future<Output = Result<(), StreamError>> + Send + Sync + Unpin + use<> {
        self.half.stream().stopped()
    }

    /// As [`Stream::is_stopped`].
    pub fn is_stopped(&self) -> bool {
        self.handle().is_stopped()
    }
}

impl AsyncBufRead for OwnedReadHalf {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { half, lent } = self.get_mut();
        *lent = ready!(half.stream().poll_peek_bytes(cx))?;
        Poll::Ready(Ok(lent))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.lent = Bytes::new();
        self.half.stream().consume(count);
    }
}

/// Halves of different streams cannot be joined. It holds both.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different streams")
    }
}

impl Error for ReuniteError {}
