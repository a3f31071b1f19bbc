//! Output: from the session to the transport.

use std::{
    fmt,
    io::{self, IoSlice},
    task::{Context, Poll, ready},
    time::Duration,
    vec::Vec,
};

use bytes::Buf;

use super::{
    pacing::{BUFFER, LARGEST_BATCH, PAGE, ROUNDS, SLICES, SLOW, SMALLEST_BATCH},
    pump::{Pump, miscounted},
    stash,
    state::State,
    transport::TransportWrite,
};
use crate::{Transmit, TransportError};

/// Moves output from the session to the transport.
pub struct WritePump {
    pub(super) pump: Pump,
    /// It is large while the transport soon takes what it is offered. One that takes its time would
    /// have what is urgent wait behind a large batch.
    batch: Transmit,
    /// Since when the transport has been offered a large write of which it has taken nothing.
    offered: Option<Duration>,
    /// How much of the session's output the transport has taken.
    written: u64,
    /// The waker for flushes while a write is blocked is in its place.
    flushes_wake: bool,
}

/// What is to be done with the transport.
enum Output {
    Write,
    /// Everything up to this mark is written.
    Flush(u64),
    Close,
    Done,
}

impl WritePump {
    pub(super) fn new(pump: Pump) -> Self {
        let mut batch = Transmit::new();
        batch.set_batch_size(SMALLEST_BATCH);
        Self {
            pump,
            batch,
            offered: None,
            written: 0,
            flushes_wake: false,
        }
    }

    /// Writes until the write side is shut or the session ends. Pending while the transport takes
    /// nothing or there is nothing to write; now and then it is pending and wakes itself, to let
    /// others run, [all others](TransportWrite::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        let poll = self.pump(cx, transport);
        if let Some(memory) = self.batch.take_memory() {
            stash::put_batch(memory);
        }
        poll
    }

    fn pump(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        let mut written = 0;
        for _ in 0..ROUNDS {
            if self.pump.done {
                return Poll::Ready(());
            }
            // After a large batch, tasks that write to streams have a turn: the data is still in
            // the processor's cache, and the queues have not run empty.
            if written >= LARGEST_BATCH {
                self.note_written();
                transport.yield_now(cx);
                return Poll::Pending;
            }
            let result = match ready!(self.next(cx)) {
                Output::Write => match self.write(cx, transport) {
                    Poll::Ready(result) => result.map(|count| written += count),
                    Poll::Pending => {
                        ready!(self.wait_for_flush(cx));
                        continue;
                    }
                },
                Output::Flush(mark) => {
                    let flushed = ready!(transport.poll_flush(cx));
                    flushed.map(|()| self.flushed(mark))
                }
                Output::Close => {
                    let closed = ready!(transport.poll_close(cx));
                    self.end();
                    closed
                }
                Output::Done => {
                    self.end();
                    Ok(())
                }
            };
            if let Err(error) = result {
                self.fail(error);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Decides what to do next, and takes a new batch when the last one is written. Pending until
    /// there is something to do.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        let Self {
            pump,
            batch,
            written,
            flushes_wake,
            ..
        } = self;
        let now = pump.now();
        let next = pump.shared.poll(
            cx,
            |state| {
                let blocked = state.pumps.blocked_write.as_ref();
                *flushes_wake = blocked.is_some_and(|waker| waker.will_wake(cx.waker()));
                next_output(state, now, batch, written)
            },
            |state, waker| waker.place(&mut state.pumps.write),
        );
        batch.release();
        next
    }

    /// The transport takes no bytes. Ready if it has taken some that a flush waits for.
    fn wait_for_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.flushes_wake {
            return Poll::Pending;
        }
        self.pump.shared.poll_on_streams(
            cx,
            |state| match state.flushes.is_wanted() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
            |state, waker| waker.place(&mut state.pumps.blocked_write),
        )
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<usize>> {
        let mut chunks = [IoSlice::new(&[]); SLICES];
        let count = self.batch.chunks_vectored(&mut chunks);
        let chunks = &chunks[..count];
        let mut slices = [IoSlice::new(&[]); SLICES];
        // Gathering costs a copy, and more of it wins nothing.
        let limit = if transport.is_vectored() {
            self.batch.batch_size()
        } else {
            SMALLEST_BATCH
        };
        let offered = if self.batch.more_follows() || self.batch.remaining() > limit {
            end_with_page(chunks, limit, self.written, &mut slices)
        } else {
            chunks
        };
        let mut buffer = Vec::new();
        let gathered;
        let offered = if offered.len() > 1 && !transport.is_vectored() {
            // For transports that gain nothing from vectored writes.
            buffer = stash::take_gathered();
            gather(&mut buffer, offered);
            gathered = [IoSlice::new(&buffer)];
            &gathered
        } else {
            offered
        };
        let most = total(offered);
        let shared = &self.pump.shared;
        if most >= SMALLEST_BATCH && self.offered.is_none() {
            self.offered = Some(shared.now());
        }
        let result = transport.poll_write(cx, offered);
        if buffer.capacity() > 0 {
            stash::put_gathered(buffer);
        }
        let count = ready!(result)?;
        let waited = self.offered.take();
        let waited = waited.map(|since| shared.now().saturating_sub(since));
        if waited.is_some_and(|waited| is_slow(count, waited)) {
            // Not to the smallest at once: it may be this thread that had to wait.
            let half = self.batch.batch_size() / 2;
            self.batch.set_batch_size(half.max(SMALLEST_BATCH));
        } else if count == most && most >= limit && transport.is_vectored() {
            self.batch.set_batch_size((2 * limit).min(LARGEST_BATCH));
        }
        self.batch.advance(count.min(most));
        Poll::Ready(match count {
            0 => Err(io::ErrorKind::WriteZero.into()),
            _ if count > most => Err(miscounted()),
            _ => Ok(count),
        })
    }

    /// Waiting for its turn, the pump does not wait for the transport.
    fn note_written(&mut self) {
        let now = self.pump.now();
        let batch = &mut self.batch;
        self.pump
            .shared
            .act(|state| state.session.handle_written(now, batch));
    }

    /// The reading side may still have something, so this is not the session's end yet.
    fn fail(&mut self, error: io::Error) {
        let now = self.pump.now();
        let error = TransportError::from(error);
        self.pump.shared.act(|state| {
            state.session.handle_write_error(now, error.clone());
        });
        self.end();
    }

    /// Nothing is left to write.
    fn end(&mut self) {
        self.pump.done = true;
        self.pump.shared.act(|state| state.end_writing(true));
    }

    fn flushed(&self, mark: u64) {
        let now = self.pump.now();
        self.pump.shared.act(|state| {
            state.session.handle_flush_end(now);
            state.flushes.set_flushed(mark);
        });
    }
}

fn next_output(
    state: &mut State,
    now: Duration,
    batch: &mut Transmit,
    written: &mut u64,
) -> Poll<Output> {
    let State {
        session, flushes, ..
    } = state;
    *written = session.bytes_emitted() - batch.remaining() as u64;
    flushes.set_written(*written);
    let unflushed = !flushes.is_all_flushed();
    if session.is_terminated() {
        // A thread that reads may see the end first: what was written before it still counts.
        return Poll::Ready(if unflushed {
            Output::Flush(*written)
        } else {
            Output::Done
        });
    }
    // A session that always has more to send would never flush otherwise.
    let flush = flushes.is_wanted();
    if session.wants_transmit()
        && !batch.has_memory()
        && let Some(memory) = stash::take_batch()
    {
        batch.set_memory(memory);
    }
    if !flush && session.poll_transmit(now, batch) {
        return Poll::Ready(Output::Write);
    }
    if unflushed {
        session.handle_flush_begin(now);
        return Poll::Ready(Output::Flush(*written));
    }
    if session.wants_shutdown() {
        return Poll::Ready(Output::Close);
    }
    Poll::Pending
}

/// What to write of `chunks`, which go to `position` and on: up to the end of the last page that at
/// most `limit` bytes reach, or so many if they reach none.
fn end_with_page<'a>(
    chunks: &'a [IoSlice<'_>],
    limit: usize,
    position: u64,
    slices: &'a mut [IoSlice<'a>; SLICES],
) -> &'a [IoSlice<'a>] {
    let most = total(chunks).min(limit);
    let beyond = (position + most as u64) % PAGE;
    let mut left = usize::try_from(beyond)
        .ok()
        .and_then(|beyond| most.checked_sub(beyond))
        .filter(|left| *left > 0)
        .unwrap_or(most);
    let mut count = 0;
    for (slice, chunk) in slices.iter_mut().zip(chunks) {
        if left == 0 {
            break;
        }
        *slice = IoSlice::new(&chunk[..chunk.len().min(left)]);
        left -= slice.len();
        count += 1;
    }
    &slices[..count]
}

/// Whether the largest batch would take too long, at the rate at which the transport has just taken
/// so many bytes.
fn is_slow(count: usize, waited: Duration) -> bool {
    waited.as_nanos() * LARGEST_BATCH as u128 > SLOW.as_nanos() * count as u128
}

fn total(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

/// Copies what fits of `slices`, in order.
fn gather(into: &mut Vec<u8>, slices: &[IoSlice<'_>]) {
    into.clear();
    for slice in slices {
        let room = BUFFER - into.len();
        into.extend_from_slice(&slice[..slice.len().min(room)]);
    }
}

impl Drop for WritePump {
    fn drop(&mut self) {
        let done = self.pump.done;
        self.pump.shared.act(|state| state.end_writing(done));
    }
}

impl fmt::Debug for WritePump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePump").finish_non_exhaustive()
    }
}
