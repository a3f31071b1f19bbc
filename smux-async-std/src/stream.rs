//! A stream over `futures-io`.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_io::{AsyncBufRead, AsyncWrite};
use smux_proto::{Priority, StreamError, StreamId, StreamStats, poll::StreamHandle};

use crate::copy::copy_to;

/// A stream of a [`Session`](crate::Session): reads and writes as a socket does.
///
/// A read of 0 bytes is the end of the peer's data. If the session ends before the peer has
/// finished, reading fails instead, so a truncated stream is never taken for a whole one.
///
/// Dropping it closes the stream: what is queued is sent, then its end; unread data is discarded.
/// The peer's writes fail from then on if it understands the second FIN. A stream keeps its session
/// open.
#[derive(Debug)]
pub struct Stream {
    handle: StreamHandle,
    /// What `poll_fill_buf` has lent, until it is consumed.
    lent: Bytes,
}

impl Stream {
    pub(crate) fn new(handle: StreamHandle) -> Self {
        let lent = Bytes::new();
        Self { handle, lent }
    }

    pub(crate) fn handle(&self) -> &StreamHandle {
        &self.handle
    }

    /// For a call that reads in another way than by what was lent, which is kept no longer then.
    pub(crate) fn reader(&mut self) -> &StreamHandle {
        if !self.lent.is_empty() {
            self.lent = Bytes::new();
        }
        &self.handle
    }

    /// The stream's number, unique within its session.
    pub fn id(&self) -> StreamId {
        self.handle.id()
    }

    /// A copy of the stream's counters.
    pub fn stats(&self) -> StreamStats {
        self.handle.stats()
    }

    /// The transport's address here, if known.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.addresses().local()
    }

    /// The transport's address at the peer, if known.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.handle.addresses().peer()
    }

    /// Reads at most `max` bytes without a copy. Empty `Bytes` are the end of the peer's data.
    /// Cancel-safe.
    ///
    /// # Errors
    /// Same errors as reading.
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
    /// # let mut writer = client.open().await?;
    /// # writer.write_all(b"hello").await?;
    /// # writer.finish();
    /// let mut stream = server.accept().await?;
    /// let mut length = 0;
    /// loop {
    ///     let bytes = stream.read_bytes(64 * 1024).await?;
    ///     if bytes.is_empty() {
    ///         break; // the peer has finished
    ///     }
    ///     length += bytes.len();
    /// }
    /// assert_eq!(length, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn read_bytes(&mut self, max: usize) -> io::Result<Bytes> {
        Ok(self.reader().read_bytes(max).await?)
    }

    /// Writes all that the peer sends to `writer`, then flushes it. Returns the number of bytes
    /// copied.
    ///
    /// Cancel-safe if `writer` is: bytes count as read once it has taken them.
    ///
    /// # Errors
    /// Same errors as reading, or those of `writer`.
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
    /// # let mut writer = client.open().await?;
    /// # writer.write_all(b"hello").await?;
    /// # writer.finish();
    /// let mut stream = server.accept().await?;
    /// let mut all = Vec::new();
    /// assert_eq!(stream.copy_to(&mut all).await?, 5);
    /// assert_eq!(all, b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn copy_to<W>(&mut self, writer: &mut W) -> io::Result<u64>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        copy_to(self.reader(), writer).await
    }

    /// Whether the peer has ended its data. Some of it may still be unread.
    pub fn peer_finished(&self) -> bool {
        self.handle.peer_finished()
    }

    /// Queues bytes of `data` without a copy, advances it by what was taken, and returns how much
    /// that was; 0 only for empty `data`. Cancel-safe.
    ///
    /// # Errors
    /// Same errors as writing.
    ///
    /// # Example
    /// ```
    /// # use smol::net::TcpListener;
    /// # use smux_async_std::{Bytes, Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut stream = client.open().await?;
    /// let mut data = Bytes::from_static(b"hello");
    /// let taken = stream.write_bytes(&mut data).await?;
    /// assert_eq!(taken + data.len(), 5); // what was not taken is still in `data`
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn write_bytes(&mut self, data: &mut Bytes) -> io::Result<usize> {
        Ok(self.handle.write_bytes(data).await?)
    }

    /// Queues all of `data` without a copy. Cancel-safe: `data` keeps what was not taken.
    ///
    /// # Errors
    /// Same errors as writing.
    ///
    /// # Example
    /// ```
    /// # use smol::net::TcpListener;
    /// # use smux_async_std::{Bytes, Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut stream = client.open().await?;
    /// let mut data = Bytes::from(vec![7; 100_000]);
    /// stream.write_all_bytes(&mut data).await?;
    /// assert!(data.is_empty());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn write_all_bytes(&mut self, data: &mut Bytes) -> io::Result<()> {
        Ok(self.handle.write_all_bytes(data).await?)
    }

    /// Sets which data leaves first if this and other streams of the session have some, also of
    /// what is queued already. It is [`Priority::NORMAL`] unless set.
    ///
    /// The peer does not learn of it: it orders what this side sends. The batch that is being
    /// written, at most 240 KiB and a frame, and what the transport holds already leave before. As
    /// long as streams of a higher level have data, those of lower ones send nothing. Within a
    /// level, a stream of three times the weight sends three times as much.
    ///
    /// ```
    /// # use smol::{io::AsyncWriteExt, net::TcpListener};
    /// # use smux_async_std::{Config, Priority, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut backup = client.open().await?;
    /// backup.set_priority(Priority::LOW); // only what the others leave
    /// backup.write_all(&[7; 100_000]).await?;
    /// let mut keys = client.open().await?;
    /// keys.set_priority(Priority::HIGH); // before all others
    /// keys.write_all(b"hello").await?;
    /// assert_eq!(keys.priority(), Priority::HIGH);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_priority(&self, priority: Priority) {
        self.handle.set_priority(priority);
    }

    /// How this stream's data ranks among that of others.
    pub fn priority(&self) -> Priority {
        self.handle.priority()
    }

    /// Ends our data: FIN follows queued data. Unlike `close`, it does not wait until that is sent.
    ///
    /// ```
    /// # use smol::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut stream = client.open().await?;
    /// stream.write_all(b"question").await?;
    /// stream.finish();
    /// # let mut served = server.accept().await?;
    /// # served.write_all(b"answer").await?;
    /// # served.finish();
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer).await?; // reading goes on
    /// assert_eq!(answer, "answer");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn finish(&mut self) {
        self.handle.finish();
    }

    /// Stops reading: data that has arrived or still arrives is discarded. Reads return 0 bytes
    /// from now on. Writing goes on.
    ///
    /// The protocol cannot tell the peer before the stream is dropped: in version 2 its writer
    /// stops once the window is used up, in version 1 it goes on, and its data is discarded.
    ///
    /// ```
    /// # use smol::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
    /// # use smux_async_std::{Config, smol::{connect, server_tcp}};
    /// # fn main() -> std::io::Result<()> {
    /// # smol::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = connect(listener.local_addr()?, Config::v2()).await?;
    /// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
    /// let mut stream = client.open().await?;
    /// stream.stop_reading(); // only sends from here on
    /// stream.write_all(b"hello").await?;
    /// assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stop_reading(&mut self) {
        self.handle.stop_reading();
    }

    /// Resolves when the peer has closed the stream and will read no more, which only some peers
    /// signal. The future does not keep the stream. Of several that wait, only the one that was
    /// polled last is woken.
    ///
    /// # Errors
    /// If the session ends before; [`StreamError::Finished`] if the stream is dropped before.
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
    /// # stream.write_all(b"hello").await?;
    /// # drop(server.accept().await?);
    /// stream.stopped().await?; // the peer has dropped its end
    /// assert!(stream.write_all(b"more").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stopped(
        &self,
    ) -> impl Future<Output = Result<(), StreamError>> + Send + Sync + Unpin + use<> {
        self.handle.stopped()
    }

    /// Whether the peer has closed the stream and will read no more.
    pub fn is_stopped(&self) -> bool {
        self.handle.is_stopped()
    }

    /// [`read_bytes`](Self::read_bytes) as a poll function.
    ///
    /// # Errors
    /// Same errors as reading.
    pub fn poll_read_bytes(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        let read = self.reader().poll_read_bytes(cx, max);
        read.map_err(io::Error::from)
    }

    /// [`write_bytes`](Self::write_bytes) as a poll function.
    ///
    /// # Errors
    /// Same errors as writing.
    pub fn poll_write_bytes(
        &mut self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let written = self.handle.poll_write_bytes(cx, data);
        written.map_err(io::Error::from)
    }

    pub(crate) fn into_handle(self) -> StreamHandle {
        self.handle
    }
}

/// Lends what has arrived without a copy, so a `BufReader` around the stream adds nothing. What is
/// consumed counts as read: only then may the peer send more.
///
/// ```
/// # use smol::{io::{AsyncBufReadExt, AsyncWriteExt}, net::TcpListener, stream::StreamExt};
/// # use smux_async_std::{Config, smol::{connect, server_tcp}};
/// # fn main() -> std::io::Result<()> {
/// # smol::block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = connect(listener.local_addr()?, Config::v2()).await?;
/// # let server = server_tcp(listener.accept().await?.0, Config::v2())?;
/// # let mut writer = client.open().await?;
/// # writer.write_all(b"first\nsecond\n").await?;
/// # writer.finish();
/// let mut lines = server.accept().await?.lines();
/// assert_eq!(lines.next().await.transpose()?.as_deref(), Some("first"));
/// assert_eq!(lines.next().await.transpose()?.as_deref(), Some("second"));
/// assert!(lines.next().await.is_none());
/// # Ok(())
/// # })
/// # }
/// ```
impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { handle, lent } = self.get_mut();
        *lent = ready!(handle.poll_peek_bytes(cx))?;
        Poll::Ready(Ok(lent))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.lent = Bytes::new();
        self.handle.consume(count);
    }
}
