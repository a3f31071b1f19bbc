//! Streams and their halves, in the runtime's traits.

use std::{future::poll_fn, io, ops::Deref};

use bytes::Bytes;
use compio::{
    BufResult,
    buf::{IoBuf, IoBufMut},
    io::{AsyncBufRead, AsyncRead, AsyncWrite},
};
use smux_proto::poll::{ReadHandle, StreamHandle, WriteHandle};

/// A stream, with the methods of its [`StreamHandle`]. Dropping it closes the stream: what is
/// queued is sent, then its end.
pub type Stream = Half<StreamHandle>;
/// The reading half of a stream.
pub type ReadHalf = Half<ReadHandle>;
/// The writing half of a stream. Dropping it ends our data.
pub type WriteHalf = Half<WriteHandle>;

/// A [`Stream`] or a half of one.
#[derive(Debug)]
pub struct Half<T> {
    handle: T,
    /// What `fill_buf` has lent, until it is consumed.
    lent: Bytes,
}

/// A handle on a stream.
pub trait OnStream {
    /// The stream.
    fn stream(&self) -> &StreamHandle;
}

/// A handle that reads.
pub trait Reads: OnStream {}
/// A handle that writes.
pub trait Writes: OnStream {}

impl OnStream for StreamHandle {
    fn stream(&self) -> &StreamHandle {
        self
    }
}

impl OnStream for ReadHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}

impl OnStream for WriteHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}

impl Reads for StreamHandle {}
impl Reads for ReadHandle {}
impl Writes for StreamHandle {}
impl Writes for WriteHandle {}

impl<T> Half<T> {
    pub(crate) fn new(handle: T) -> Self {
        let lent = Bytes::new();
        Self { handle, lent }
    }
}

impl Stream {
    /// Two halves for two tasks.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        let (read, write) = self.handle.into_split();
        (Half::new(read), Half::new(write))
    }
}

impl<T: OnStream> Deref for Half<T> {
    type Target = StreamHandle;

    fn deref(&self) -> &StreamHandle {
        self.handle.stream()
    }
}

/// The caller's buffer is filled in one step once there is something: a read that is given up has
/// taken nothing.
impl<T: Reads> AsyncRead for Half<T> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> BufResult<usize, B> {
        let room = buffer.buf_capacity();
        match self.handle.stream().read_bytes(room).await {
            Ok(bytes) => (&bytes[..]).read(buffer).await,
            Err(error) => BufResult(Err(error.into()), buffer),
        }
    }
}

impl<T: Reads> AsyncBufRead for Half<T> {
    async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Self { handle, lent } = self;
        *lent = poll_fn(|cx| handle.stream().poll_peek_bytes(cx)).await?;
        Ok(lent)
    }

    fn consume(&mut self, count: usize) {
        self.lent = Bytes::new();
        self.handle.stream().consume(count);
    }
}

/// The bytes are copied to the session's queue, so the buffer comes back at once. `Bytes` are
/// queued without a copy by [`StreamHandle::write_bytes`].
impl<T: Writes> AsyncWrite for Half<T> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> BufResult<usize, B> {
        let stream = self.handle.stream();
        let written = poll_fn(|cx| stream.poll_write(cx, buffer.as_init())).await;
        BufResult(written.map_err(io::Error::from), buffer)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(poll_fn(|cx| self.handle.stream().poll_flush(cx)).await?)
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(poll_fn(|cx| self.handle.stream().poll_shutdown(cx)).await?)
    }
}
