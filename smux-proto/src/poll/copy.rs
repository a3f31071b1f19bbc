//! Calls of several steps on a stream, which every adapter offers under its own traits.

use std::{
    future::poll_fn,
    io::{self, IoSliceMut},
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes};

use super::{
    pacing::{COPY, FEW, STEPS},
    stream_handle::StreamHandle,
};
use crate::{StreamError, StreamMut, buffer::copying};

impl StreamHandle {
    /// As [`poll_read`](Self::poll_read), into the buffers one after the other.
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<Result<usize, StreamError>> {
        let mut read = 0;
        for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
            match self.poll_read(cx, buf) {
                Poll::Ready(Ok(count)) => {
                    read += count;
                    if count < buf.len() {
                        break;
                    }
                }
                // The next call gets the error, or waits.
                _ if read > 0 => break,
                blocked_or_failed => return blocked_or_failed,
            }
        }
        Poll::Ready(Ok(read))
    }

    /// As [`poll_read`](Self::poll_read), into any [`BufMut`]: for instance one that was never
    /// initialised.
    ///
    /// `buf` may use the session: the bytes are copied through a buffer in between, which is filled
    /// under the lock. Should `buf` panic, up to 16 KiB are lost.
    pub fn poll_read_buf(
        &self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
    ) -> Poll<Result<usize, StreamError>> {
        let room = buf.remaining_mut();
        let read = ready!(self.poll_read_through::<FEW>(cx, buf, room))?;
        // Most reads are small, and need no larger buffer to be cleared.
        if read < FEW || read == room {
            return Poll::Ready(Ok(read));
        }
        self.read_more(cx, buf, room, read)
    }

    #[inline(never)]
    fn read_more(
        &self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
        room: usize,
        mut read: usize,
    ) -> Poll<Result<usize, StreamError>> {
        while read < room {
            match self.poll_read_through::<COPY>(cx, buf, room - read) {
                Poll::Ready(Ok(count)) => {
                    read += count;
                    if count < COPY {
                        break;
                    }
                }
                // The next call gets the error, or waits.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(read))
    }

    fn poll_read_through<const SIZE: usize>(
        &self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
        room: usize,
    ) -> Poll<Result<usize, StreamError>> {
        let mut through = [0; SIZE];
        let read = ready!(self.poll_read(cx, &mut through[..room.min(SIZE)]))?;
        copying::put(buf, &through[..read]);
        Poll::Ready(Ok(read))
    }

    /// [`poll_read_bytes`](Self::poll_read_bytes) as a future. Cancel-safe.
    ///
    /// # Errors
    /// Same errors as reading.
    pub async fn read_bytes(&self, max: usize) -> Result<Bytes, StreamError> {
        poll_fn(|cx| self.poll_read_bytes(cx, max)).await
    }

    /// [`poll_write_bytes`](Self::poll_write_bytes) as a future. Cancel-safe.
    ///
    /// # Errors
    /// Same errors as writing.
    pub async fn write_bytes(&self, data: &mut Bytes) -> Result<usize, StreamError> {
        poll_fn(|cx| self.poll_write_bytes(cx, data)).await
    }

    /// Queues all of `data` without a copy. Cancel-safe: `data` keeps what was not taken.
    ///
    /// # Errors
    /// Same errors as writing.
    pub async fn write_all_bytes(&self, data: &mut Bytes) -> Result<(), StreamError> {
        while !data.is_empty() {
            self.write_bytes(data).await?;
        }
        Ok(())
    }

    /// Gives `write` all that the peer sends, and returns the number of bytes copied. `write` takes
    /// some of the bytes that it is given and returns how many; it is called without the session's
    /// lock.
    ///
    /// Cancel-safe if `write` is: bytes count as read once it has taken them. It lets other tasks
    /// run now and then.
    ///
    /// # Errors
    /// Same errors as reading, those of `write`, and [`io::ErrorKind::WriteZero`] if it takes
    /// nothing.
    pub async fn copy_to(
        &self,
        mut write: impl FnMut(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> io::Result<u64> {
        let mut copied = 0;
        poll_fn(|cx| {
            for _ in 0..STEPS {
                let count = ready!(self.poll_copy(cx, &mut write))?;
                if count == 0 {
                    return Poll::Ready(Ok(copied));
                }
                copied += count as u64;
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Bytes are taken from the stream in the same step in which the writer took them: a caller may
    /// stop in between steps.
    fn poll_copy(
        &self,
        cx: &mut Context<'_>,
        write: &mut impl FnMut(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut few = [0; FEW];
        let peeked = ready!(self.read(cx, |stream| peek(stream, &mut few)))?;
        let bytes = match &peeked {
            Peeked::Copied(count) => &few[..*count],
            Peeked::Shared(bytes) => bytes,
        };
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(write(cx, bytes))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        // Before the bytes are taken, so that their memory is used again.
        drop(peeked);
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

/// The next bytes of a stream, which stay unread.
enum Peeked {
    /// So many are copied.
    Copied(usize),
    /// Sharing them costs less than a copy, and a writer gets more at a time.
    Shared(Bytes),
}

fn peek(stream: &mut StreamMut<'_>, few: &mut [u8; FEW]) -> Poll<Result<Peeked, StreamError>> {
    let next = ready!(stream.peek())?;
    if let Some(few) = few.get_mut(..next.len()) {
        few.copy_from_slice(next);
        return Poll::Ready(Ok(Peeked::Copied(next.len())));
    }
    stream.peek_bytes().map_ok(Peeked::Shared)
}
