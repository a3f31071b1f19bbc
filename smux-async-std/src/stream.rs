//! A stream over `futures-io`.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_io::AsyncWrite;
use smux_proto::{StreamError, StreamId, StreamStats, poll::StreamHandle};

use crate::io::copy_to;

/// A stream of a [`Session`](crate::Session): reads and writes as a socket does.
///
/// A read of 0 bytes is the end of the peer's data. If the session ends before the peer has finished, reading fails
/// instead, so nobody takes a truncated stream for a whole one.
///
/// Dropping it closes the stream: what is queued is sent, then its end; what has arrived and was not read is
/// discarded, and the peer's writes fail from then on, if it can tell. A stream keeps its session open.
#[derive(Debug)]
pub struct Stream {
    handle: StreamHandle,
}

impl Stream {
    pub(crate) fn new(handle: StreamHandle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &StreamHandle {
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

    /// Reads at most `max` bytes without a copy. Empty `Bytes` are the end of the peer's data. Cancel-safe.
    ///
    /// # Errors
    /// As of any read.
    pub async fn read_bytes(&mut self, max: usize) -> io::Result<Bytes> {
        Ok(self.handle.read_bytes(max).await?)
    }

    /// Writes all that the peer sends to `writer`, flushes it, and returns how many bytes it were.
    ///
    /// Cancel-safe if `writer` is: bytes count as read once it has taken them.
    ///
    /// # Errors
    /// As of any read, or of `writer`.
    pub async fn copy_to<W>(&mut self, writer: &mut W) -> io::Result<u64>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        copy_to(&self.handle, writer).await
    }

    /// Whether the peer has ended its data. Some of it may still be unread.
    pub fn peer_finished(&self) -> bool {
        self.handle.peer_finished()
    }

    /// Queues bytes of `data` without a copy, advances it by what was taken, and returns how much that was; 0 only for
    /// empty `data`. Cancel-safe.
    ///
    /// # Errors
    /// As of any write.
    pub async fn write_bytes(&mut self, data: &mut Bytes) -> io::Result<usize> {
        Ok(self.handle.write_bytes(data).await?)
    }

    /// Queues all of `data` without a copy. Cancel-safe: `data` keeps what was not taken.
    ///
    /// # Errors
    /// As of any write.
    pub async fn write_all_bytes(&mut self, data: &mut Bytes) -> io::Result<()> {
        Ok(self.handle.write_all_bytes(data).await?)
    }

    /// Ends our data behind what is queued. It does not wait until that is sent, as `close` does.
    pub fn finish(&mut self) {
        self.handle.finish();
    }

    /// Reads no more: what has arrived is discarded, and so is what still arrives. Reads return 0 bytes from now on. Writing
    /// goes on.
    ///
    /// The protocol cannot tell the peer before the stream is dropped: in version 2 its writer stops once the window is used
    /// up, in version 1 it goes on into nothing.
    pub fn stop_reading(&mut self) {
        self.handle.stop_reading();
    }

    /// Resolves when the peer has closed the stream and will read no more, which not every peer tells. The future does not
    /// keep the stream. Of several that wait, only the one that was polled last is woken.
    ///
    /// # Errors
    /// If the session ends before; [`StreamError::Finished`] if the stream is dropped before.
    pub fn stopped(
        &self,
    ) -> impl Future<Output = Result<(), StreamError>> + Send + Sync + Unpin + use<> {
        self.handle.stopped()
    }

    /// [`read_bytes`](Self::read_bytes) as a poll function.
    ///
    /// # Errors
    /// As of any read.
    pub fn poll_read_bytes(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        let read = self.handle.poll_read_bytes(cx, max);
        read.map_err(io::Error::from)
    }

    /// [`write_bytes`](Self::write_bytes) as a poll function.
    ///
    /// # Errors
    /// As of any write.
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
