//! The application's handle on a stream.

use std::{
    fmt,
    future::{Future, poll_fn},
    io::IoSlice,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{
    addresses::Addresses,
    outbox::{Outbox, is_worth_it},
    shared::Shared,
    state::State,
    wakers::{Habit, Interest, Spare},
};
use crate::{
    Priority, StreamError, StreamId, StreamMut, StreamStats, streams::table::Key, trace::StallWatch,
};

/// A stream of a session.
///
/// All methods take `&self`, so that tasks can share a stream: one to read, one to write or flush,
/// one to wait until the peer [stops](Self::poll_stopped). Each of the three remembers one waker:
/// of two tasks that wait for the same, only the one that polled last is woken.
///
/// A method that returned `Poll::Pending` has done nothing, so giving up on it loses nothing.
///
/// Dropping it closes the stream: what is queued is sent, then FIN; unread input is discarded. It
/// takes no runtime and never waits.
pub struct StreamHandle {
    shared: Arc<Shared>,
    id: StreamId,
    /// The session keeps the stream until its handle closes it, so this leads to it as long as the
    /// handle lives.
    key: Key,
    /// Of reads and of writes.
    habits: [Habit; 2],
    /// Of a stream that has written many small messages.
    outbox: OnceLock<Arc<Outbox>>,
    addresses: Addresses,
}

impl StreamHandle {
    /// A handle on a stream that was just opened or accepted, and counted.
    pub(super) fn new(shared: &Arc<Shared>, id: StreamId, key: Key, addresses: Addresses) -> Self {
        Self {
            shared: Arc::clone(shared),
            id,
            key,
            habits: Default::default(),
            outbox: OnceLock::new(),
            addresses,
        }
    }

    /// The addresses of the transport, as far as they are known.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The stream's number, unique within its session.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Reads into `buf`. `Ok(0)` is the end of the stream, unless `buf` is empty.
    ///
    /// # Errors
    /// Once everything that arrived is read: if the session or the stream ended before the peer had
    /// finished.
    pub fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.read(cx, |stream| stream.read(buf))
    }

    /// Reads at most `max` bytes without a copy. Empty `Bytes` are the end of the stream. Errors as
    /// [`poll_read`](Self::poll_read).
    pub fn poll_read_bytes(
        &self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        self.read(cx, |stream| stream.read_bytes(max))
    }

    /// As [`poll_read`](Self::poll_read), but the bytes stay unread until
    /// [`consume`](Self::consume). It may give less than what is there.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.read(cx, |stream| {
            stream.peek().map_ok(|unread| {
                let len = unread.len().min(buf.len());
                buf[..len].copy_from_slice(&unread[..len]);
                len
            })
        })
    }

    /// As [`poll_peek`](Self::poll_peek), without a copy unless they are few. It gives what lies
    /// together in memory, so that adapters can implement traits such as `AsyncBufRead`.
    ///
    /// The memory of the bytes is used again only if they are dropped before
    /// [`consume`](Self::consume).
    pub fn poll_peek_bytes(&self, cx: &mut Context<'_>) -> Poll<Result<Bytes, StreamError>> {
        self.read(cx, |stream| stream.peek_bytes())
    }

    /// Takes `count` bytes that [`poll_peek`](Self::poll_peek) gave; at most those that it could
    /// give.
    pub fn consume(&self, count: usize) {
        self.act(|stream| stream.consume(count));
    }

    /// Queues bytes of `data` and returns how many: at least one, at most what the peer's window
    /// and the send queue allow. `Ok(0)` only for empty `data`. It does not wait until they are
    /// sent; [`poll_flush`](Self::poll_flush) does.
    ///
    /// # Errors
    /// After [`finish`](Self::finish), when the peer has closed the stream, when the session has
    /// ended.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        if self.outbox.get().is_some_and(|outbox| outbox.write(data)) {
            return Poll::Ready(Ok(data.len()));
        }
        self.write(cx, |stream| stream.write(data))
    }

    /// As [`poll_write`](Self::poll_write), for the slices one after the other.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize, StreamError>> {
        let outbox = self.outbox.get();
        if let Some(count) = outbox.and_then(|outbox| outbox.write_slices(data)) {
            return Poll::Ready(Ok(count));
        }
        self.write(cx, |stream| write_slices(stream, data))
    }

    /// As [`poll_write`](Self::poll_write), without a copy: `data` is advanced by what was taken.
    pub fn poll_write_bytes(
        &self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<Result<usize, StreamError>> {
        self.write(cx, |stream| stream.write_bytes(data))
    }

    /// Waits until all that this stream had queued is written to the transport, and the transport
    /// flushed.
    ///
    /// # Errors
    /// If the session ends before, or if what was queued was dropped because the peer closed the
    /// stream.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let key = self.key;
        self.shared.poll_on_streams(
            cx,
            |state| {
                self.take_in(state);
                let mark = ready!(state.act_on_stream(key, |stream| stream.poll_sent()))?;
                state.poll_flushed(key, mark)
            },
            |state, waker| state.blocked.register(key, Interest::Write, waker),
        )
    }

    /// [`finish`](Self::finish), then [`poll_flush`](Self::poll_flush). Reading goes on.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.finish();
        self.poll_flush(cx)
    }

    /// Ends this side's data: FIN follows what is queued. Reading goes on. Has no effect if already
    /// finished.
    pub fn finish(&self) {
        self.act_on_output(|stream| stream.finish());
    }

    /// Stops reading: data that has arrived or still arrives is discarded. Reads return 0 bytes,
    /// also those already waiting. Writing goes on. See [`StreamMut::stop_reading`].
    pub fn stop_reading(&self) {
        self.act(|stream| stream.stop_reading());
    }

    /// Sets which data leaves first if this and other streams have some, also of what is queued
    /// already. Only this side knows of it. See [`Priority`] for what it means, and
    /// [`StreamMut::set_priority`].
    pub fn set_priority(&self, priority: Priority) {
        self.act(|stream| stream.set_priority(priority));
    }

    /// How this stream's data ranks among that of others.
    pub fn priority(&self) -> Priority {
        self.act(|stream| stream.priority()).unwrap_or_default()
    }

    /// Waits until the peer has closed the stream and will read no more.
    ///
    /// # Errors
    /// If the session ends before.
    pub fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        poll_stopped(&self.shared, self.key, cx)
    }

    /// [`poll_stopped`](Self::poll_stopped) as a future that does not keep the stream.
    ///
    /// # Errors
    /// If the session ends before; [`StreamError::Finished`] if the stream is dropped before.
    pub fn stopped(
        &self,
    ) -> impl Future<Output = Result<(), StreamError>> + Send + Sync + Unpin + use<> {
        let (shared, key) = (Arc::clone(&self.shared), self.key);
        poll_fn(move |cx| poll_stopped(&shared, key, cx))
    }

    /// Whether the peer has finished its data. There may still be some to read.
    pub fn peer_finished(&self) -> bool {
        self.act(|stream| stream.peer_finished()).unwrap_or(true)
    }

    /// Whether the peer has closed the stream and will read no more.
    pub fn is_stopped(&self) -> bool {
        self.act(|stream| stream.is_stopped()).unwrap_or(true)
    }

    /// A copy of the stream's counters.
    pub fn stats(&self) -> StreamStats {
        self.shared.advance_time();
        self.act_on_output(|stream| stream.stats())
            .unwrap_or_default()
    }

    pub(super) fn read<R>(
        &self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&mut StreamMut<'_>) -> Poll<Result<R, StreamError>>,
    ) -> Poll<Result<R, StreamError>> {
        let key = self.key;
        let habit = self.habit(Interest::Read);
        let mut spare = Spare::of(cx.waker());
        if habit.expects_wait() {
            spare.make_ready();
        }
        let poll = self.shared.poll_read(
            &mut spare,
            |state| state.act_on_stream(key, &mut act),
            |state, waker| state.blocked.register(key, Interest::Read, waker),
        );
        habit.learn(&poll);
        poll
    }

    fn write(
        &self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&mut StreamMut<'_>) -> Poll<Result<usize, StreamError>>,
    ) -> Poll<Result<usize, StreamError>> {
        let habit = self.habit(Interest::Write);
        let mut poll = Poll::Pending;
        if !habit.expects_wait() {
            poll = self
                .shared
                .queue_output(|state| self.write_to(state, &mut act));
        }
        if poll.is_pending() {
            poll = self.write_or_wait(cx, act);
        }
        habit.learn(&poll);
        poll
    }

    /// For a write that will probably wait.
    #[inline(never)]
    fn write_or_wait(
        &self,
        cx: &Context<'_>,
        mut act: impl FnMut(&mut StreamMut<'_>) -> Poll<Result<usize, StreamError>>,
    ) -> Poll<Result<usize, StreamError>> {
        let key = self.key;
        // The wait that begins counts from then.
        let mut spare = Spare::timed(cx.waker(), self.shared.clock());
        spare.make_ready();
        self.shared.poll_with(
            spare,
            |state| {
                let poll = self.write_to(state, &mut act);
                if poll.is_pending() && state.session.is_mostly_lent() {
                    state.take_in_outboxes();
                    // This writer may be among them.
                    state.session.notify_blocked();
                }
                poll
            },
            |state, waker| {
                waker.tell_time(&mut state.session);
                // What waits from here on may bring the next look at stalls forward.
                state.deadline_moved |= StallWatch::IS_ON;
                state.blocked.register(key, Interest::Write, waker);
            },
        )
    }

    fn write_to(
        &self,
        state: &mut State,
        mut act: impl FnMut(&mut StreamMut<'_>) -> Poll<Result<usize, StreamError>>,
    ) -> Poll<Result<usize, StreamError>> {
        self.take_in(state);
        let mut is_due = false;
        let poll = state.act_on_stream(self.key, |stream| {
            let poll = act(stream);
            if let Poll::Ready(Ok(count)) = poll {
                is_due = is_worth_it(stream.unsent(), count);
            }
            poll
        });
        if is_due {
            self.open_outbox(state);
        }
        poll
    }

    // Apart, as most writes are the first since their stream's turn.
    #[inline(never)]
    fn open_outbox(&self, state: &mut State) {
        let outbox = self.outbox.get_or_init(|| Arc::new(Outbox::new(self.key)));
        state.outboxes.open(outbox, &mut state.session);
    }

    /// Takes in what was written without the lock.
    #[inline]
    fn take_in(&self, state: &mut State) {
        if let Some(outbox) = self.outbox.get() {
            outbox.take_in(&mut state.session);
        }
    }

    fn habit(&self, interest: Interest) -> &Habit {
        &self.habits[usize::from(interest == Interest::Write)]
    }

    /// For calls that depend on what was written.
    fn act_on_output<R>(&self, act: impl FnOnce(&mut StreamMut<'_>) -> R) -> Option<R> {
        self.shared.act_on_streams(|state| {
            self.take_in(state);
            Some(act(&mut state.session.stream_at(self.key)?))
        })
    }

    fn act<R>(&self, act: impl FnOnce(&mut StreamMut<'_>) -> R) -> Option<R> {
        self.shared
            .act_on_streams(|state| Some(act(&mut state.session.stream_at(self.key)?)))
    }
}

fn poll_stopped(shared: &Shared, key: Key, cx: &Context<'_>) -> Poll<Result<(), StreamError>> {
    shared.poll_on_streams(
        cx,
        |state| state.poll_stopped(key),
        |state, waker| state.blocked.register(key, Interest::Stop, waker),
    )
}

fn write_slices(
    stream: &mut StreamMut<'_>,
    data: &[IoSlice<'_>],
) -> Poll<Result<usize, StreamError>> {
    let mut written = 0;
    for slice in data.iter().filter(|slice| !slice.is_empty()) {
        match stream.write(slice) {
            Poll::Ready(Ok(count)) => {
                written += count;
                if count < slice.len() {
                    break;
                }
            }
            // The next call gets the error, or waits.
            _ if written > 0 => break,
            blocked_or_failed => return blocked_or_failed,
        }
    }
    Poll::Ready(Ok(written))
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        let (unused, stop, wakers) = self.shared.act_on_streams(|state| {
            self.take_in(state);
            if let Some(stream) = state.session.stream_at(self.key) {
                stream.close();
            }
            let stop = state.blocked.take(self.key, Interest::Stop);
            let wakers = state.blocked.forget(self.key);
            (state.drop_stream_handle(), stop, wakers)
        });
        drop(wakers);
        // The task that waits for the peer's stop may have no handle.
        if let Some(stop) = stop {
            stop.wake();
        }
        if unused {
            let now = self.shared.now();
            self.shared.act(|state| state.session.close(now));
        }
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
