//! The application's calls on a stream.

use core::task::Poll;

use bytes::{BufMut, Bytes};

use crate::{
    buffer::copying,
    buffer::segments::{Queue, Segment, Segments, is_small},
    error::StreamError,
    priority::Priority,
    stats::StreamStats,
    streams::Streams,
    streams::stream::Flag,
    streams::table::Key,
    wire::StreamId,
};

/// One stream of a [`Session`](crate::Session), borrowed for a while: looked up once, used as often
/// as needed.
///
/// Calls that cannot go on return [`Poll::Pending`]; the matching [`Event`](crate::Event) follows
/// when they can. Any order of calls is safe.
#[derive(Debug)]
pub struct StreamMut<'a> {
    /// Of a stream that is in the table: found when this was made, and removed only by this.
    key: Key,
    streams: &'a mut Streams,
}

impl<'a> StreamMut<'a> {
    pub(crate) const fn new(key: Key, streams: &'a mut Streams) -> Self {
        Self { key, streams }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.streams.table[self.key].id
    }

    /// Reads what has arrived, as much as fits. `Ok(0)` is the end of the stream (or [reading was
    /// stopped](Self::stop_reading)), if `buf` is not empty.
    ///
    /// Pending until [`Event::Readable`](crate::Event::Readable) or
    /// [`Event::Finished`](crate::Event::Finished).
    ///
    /// # Errors
    ///
    /// Only once everything that arrived has been read: [`StreamError::Closed`] if the session
    /// ended before the peer's FIN, so that truncation is never silent; [`StreamError::Evicted`].
    pub fn read(&mut self, mut buf: &mut [u8]) -> Poll<Result<usize, StreamError>> {
        match self.streams.read_small(self.key, buf) {
            Some(count) => count.map(Ok),
            None => self.read_any(&mut buf),
        }
    }

    /// As [`read`](Self::read), into any [`BufMut`]: for instance one that was never initialised.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_buf(&mut self, buf: &mut impl BufMut) -> Poll<Result<usize, StreamError>> {
        self.read_any(buf)
    }

    // Out of line, so that a small message does not save registers for it.
    #[inline(never)]
    fn read_any(&mut self, buf: &mut impl BufMut) -> Poll<Result<usize, StreamError>> {
        if !buf.has_remaining_mut() {
            return Poll::Ready(Ok(0));
        }
        if self.unread() == 0 {
            return self.nothing_to_read().map_ok(|()| 0);
        }
        let Streams {
            table,
            segments,
            budget,
            slow_readers,
            windows,
            ..
        } = &mut *self.streams;
        let stream = &mut table[self.key];
        let is_budgeted = !stream.has(Flag::Unbudgeted);
        let mut copied = 0;
        while buf.has_remaining_mut() && !stream.recv.queue.is_empty() {
            // Should the caller's buffer panic, the pieces before are accounted for, and this one
            // is still to be read.
            let room = buf.remaining_mut();
            let count = segments.take_front(&mut stream.recv.queue, room, |front| {
                copying::put(buf, front)
            });
            if is_budgeted {
                budget.refund(count);
            } else {
                slow_readers.release(count);
            }
            windows.on_read(count, stream);
            copied += count;
        }
        self.streams.after_read(self.key);
        Poll::Ready(Ok(copied))
    }

    /// Reads up to `max` bytes without a copy; an empty result is the end of the stream.
    ///
    /// A buffer lent by a [`BufferSource`](crate::BufferSource) is handed over instead of given
    /// back, unless it is a piece of `ThreadBuffers`, which goes back once the bytes are dropped.
    /// So this allocates where [`read`](Self::read) does not. Good for passing data on, not for
    /// small messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_bytes(&mut self, max: usize) -> Poll<Result<Bytes, StreamError>> {
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        if self.unread() == 0 {
            return self.nothing_to_read().map_ok(|()| Bytes::new());
        }
        let queue = &mut self.streams.table[self.key].recv.queue;
        let bytes = match self.streams.segments.split_front(queue, max) {
            Some(Segment::Pooled { buffer, start }) => buffer.into_bytes().slice(start..),
            Some(Segment::Shared { bytes, .. }) => bytes,
            None => Bytes::new(),
        };
        self.streams.on_read(self.key, bytes.len());
        Poll::Ready(Ok(bytes))
    }

    /// Shows the next bytes that have arrived without taking them; an empty slice is the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn peek(&mut self) -> Poll<Result<&[u8], StreamError>> {
        if self.unread() == 0 {
            return self.nothing_to_read().map_ok(|()| [].as_slice());
        }
        let queue = &self.streams.table[self.key].recv.queue;
        Poll::Ready(Ok(self.streams.segments.front(queue)))
    }

    /// As [`peek`](Self::peek), with bytes that may outlive the borrow. They are shared, not
    /// copied, unless they are few.
    ///
    /// Their buffer stays in use until these `Bytes`, too, are dropped: drop them before
    /// [`consume`](Self::consume).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn peek_bytes(&mut self) -> Poll<Result<Bytes, StreamError>> {
        if self.unread() == 0 {
            return self.nothing_to_read().map_ok(|()| Bytes::new());
        }
        let queue = &self.streams.table[self.key].recv.queue;
        Poll::Ready(Ok(self.streams.segments.share_front(queue)))
    }

    /// Takes bytes that [`peek`](Self::peek) has shown; more than it showed counts as all of them.
    /// The peer's window and the receive budget get them back, as by a read.
    pub fn consume(&mut self, count: usize) {
        let queue = &mut self.streams.table[self.key].recv.queue;
        let count = count.min(self.streams.segments.front(queue).len());
        self.streams.segments.advance(queue, count);
        self.streams.on_read(self.key, count);
    }

    /// Queues a copy of as much of `data` as the peer's window and the send queues allow, and
    /// returns the number of bytes taken.
    ///
    /// These will be sent, before FIN, unless the peer stops reading or the session ends. Pending
    /// until [`Event::Writable`](crate::Event::Writable). Writing nothing always succeeds.
    ///
    /// # Errors
    ///
    /// [`StreamError::Closed`], [`StreamError::Finished`], [`StreamError::Stopped`],
    /// [`StreamError::Evicted`], [`StreamError::AcknowledgedTooMuch`]. None of `data` is taken
    /// then.
    pub fn write(&mut self, data: &[u8]) -> Poll<Result<usize, StreamError>> {
        if is_small(data.len()) && self.streams.write_small(self.key, data) {
            return Poll::Ready(Ok(data.len()));
        }
        self.write_any(data)
    }

    // Out of line, so that a small message does not save registers for it.
    #[inline(never)]
    fn write_any(&mut self, data: &[u8]) -> Poll<Result<usize, StreamError>> {
        self.write_with(data.len(), |segments, queue, count, limit| {
            segments.push(queue, &data[..count], limit);
        })
    }

    /// As [`write`](Self::write), without a copy: `data` is advanced by what was taken.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_bytes(&mut self, data: &mut Bytes) -> Poll<Result<usize, StreamError>> {
        self.write_with(data.len(), |segments, queue, count, limit| {
            segments.push_shared(queue, data, count, limit);
        })
    }

    /// Returns ready once everything written, and a FIN that need not wait for the peer's, has been
    /// handed out for writing.
    ///
    /// The number returned is an offset in the session's output: all of it has left once that many
    /// bytes have (compare [`Session::bytes_emitted`](crate::Session::bytes_emitted)). It stays the
    /// same until more is written.
    ///
    /// Pending until [`Event::Writable`](crate::Event::Writable).
    ///
    /// # Errors
    ///
    /// [`StreamError::Closed`] if the session ended before, [`StreamError::Stopped`] if queued data
    /// was dropped for that.
    pub fn poll_sent(&mut self) -> Poll<Result<u64, StreamError>> {
        let half_close = self.streams.config.half_close();
        let stream = &mut self.streams.table[self.key];
        if !stream.is_sent(half_close) {
            stream.set(Flag::SentWaits);
            return Poll::Pending;
        }
        if stream.has(Flag::CutOff) {
            return Poll::Ready(Err(self.ended()));
        }
        Poll::Ready(Ok(stream.send.flush_offset))
    }

    /// Ends this side's data: FIN follows everything written. Reading goes on. Has no effect if
    /// already finished.
    ///
    /// Without [half-close](crate::ConfigBuilder::half_close) the FIN waits for the peer's, or for
    /// [`close`](Self::close).
    pub fn finish(&mut self) {
        let stream = &mut self.streams.table[self.key];
        if self.streams.reason.is_some() {
            // A FIN that was not asked for before will not leave: a flush must not succeed then.
            if !(stream.has_sent_fin() || stream.has(Flag::Finished)) {
                stream.set(Flag::CutOff);
            }
        } else if !stream.has(Flag::Finished) {
            stream.set(Flag::Finished);
            self.streams.scheduler.owe_data(self.key, stream);
            // A write that was pending has to see that it came too late.
            self.streams.notify_writer(self.key);
        }
    }

    /// Stops reading: data that has arrived or still arrives is dropped, and takes no room in
    /// `max_receive_buffer`. Reads return 0 bytes from now on. Writing goes on. Has no effect if
    /// reading has already stopped.
    ///
    /// The wire has no frame for it, so the peer learns of it only when the stream is
    /// [closed](Self::close). In version 2 no UPD follows, so the peer's writer stops once its
    /// window is used up. In version 1 it goes on, and its data is skipped.
    pub fn stop_reading(&mut self) {
        self.streams.release_window(self.key);
        self.streams.discard_received(self.key);
        let stream = &mut self.streams.table[self.key];
        stream.set(Flag::ReadStopped);
        if stream.clear(Flag::ReadWaits) {
            self.streams
                .events
                .raise(self.key, stream, Flag::EventReadable);
        }
        self.streams.uncount_if_spent(self.key);
    }

    /// Closes the stream: written data leaves, then FIN; unread data is dropped.
    ///
    /// If the peer has not finished, a second FIN tells it that this side has stopped reading.
    pub fn close(self) {
        let (id, unread, unsent) = (self.id(), self.unread(), self.unsent());
        self.streams.trace.closed(id, unread, unsent);
        self.streams.close(self.key);
    }

    /// Sets the stream's priority: which data leaves first if several streams have some. It is
    /// local to this side.
    pub fn set_priority(&mut self, priority: Priority) {
        let stream = &mut self.streams.table[self.key];
        self.streams
            .scheduler
            .set_priority(self.key, stream, priority);
    }

    /// The stream's priority.
    pub fn priority(&self) -> Priority {
        self.streams.table[self.key].priority
    }

    /// Bytes that have arrived and are not read.
    pub fn unread(&self) -> usize {
        self.streams.table[self.key].recv.queue.len()
    }

    /// Bytes that are written and not handed out for writing.
    pub fn unsent(&self) -> usize {
        self.streams.table[self.key].send.queue.len()
    }

    /// Whether a read would not be pending.
    pub fn is_readable(&self) -> bool {
        self.streams.table[self.key].is_readable() || self.streams.input_over
    }

    /// Whether the peer's FIN has come. What it sent before may still be unread.
    pub fn peer_finished(&self) -> bool {
        self.streams.table[self.key].has(Flag::PeerFinished)
    }

    /// Whether the peer has closed the stream and will not read what is written.
    pub fn is_stopped(&self) -> bool {
        self.streams.table[self.key].has(Flag::Stopped)
    }

    /// What the stream did so far.
    pub fn stats(&self) -> StreamStats {
        self.streams.stream_stats(&self.streams.table[self.key])
    }

    /// The result of a read when nothing is buffered: end of stream, the error, or pending.
    fn nothing_to_read(&mut self) -> Poll<Result<(), StreamError>> {
        let stream = &mut self.streams.table[self.key];
        // What an evicted stream had received is gone, so its end is not the peer's.
        let at_end = stream.has(Flag::PeerFinished) && !stream.has(Flag::Evicted);
        if at_end || stream.has(Flag::ReadStopped) {
            Poll::Ready(Ok(()))
        } else if stream.has(Flag::Evicted) || self.streams.input_over {
            Poll::Ready(Err(self.ended()))
        } else {
            stream.set(Flag::ReadWaits);
            Poll::Pending
        }
    }

    /// Queues as many of `len` bytes as there is room for.
    #[inline]
    fn write_with(
        &mut self,
        len: usize,
        queue: impl FnOnce(&mut Segments, &mut Queue, usize, usize),
    ) -> Poll<Result<usize, StreamError>> {
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let stream = &self.streams.table[self.key];
        if self.streams.reason.is_some() || stream.writes_no_more() {
            return Poll::Ready(Err(self.write_error()));
        }
        let count = match self.streams.has_room(stream, len) {
            true => len,
            false => len.min(self.streams.room(stream)),
        };
        if count == 0 {
            self.streams.write_waits(self.key);
            return Poll::Pending;
        }
        let limit = self.streams.send_segment;
        let stream = &mut self.streams.table[self.key];
        queue(
            &mut self.streams.segments,
            &mut stream.send.queue,
            count,
            limit,
        );
        stream.send.wrote(count);
        self.streams.queued += count;
        self.streams.scheduler.owe_data(self.key, stream);
        Poll::Ready(Ok(count))
    }

    /// Why the stream, which does not, takes nothing more.
    #[cold]
    fn write_error(&self) -> StreamError {
        let stream = &self.streams.table[self.key];
        if self.streams.reason.is_some() || stream.has_any([Flag::Evicted, Flag::Stopped]) {
            self.ended()
        } else if stream.has(Flag::Finished) {
            StreamError::Finished
        } else {
            StreamError::AcknowledgedTooMuch
        }
    }

    /// The error of the stream, if it has one.
    fn ended(&self) -> StreamError {
        match &self.streams.reason {
            Some(reason) => StreamError::Closed(reason.clone()),
            None if self.streams.table[self.key].has(Flag::Evicted) => StreamError::Evicted,
            None => StreamError::Stopped,
        }
    }
}
