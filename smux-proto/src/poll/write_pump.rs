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
    output::{Output, Step, give_up_memory},
    pacing::{BUFFER, LARGEST_BATCH, PAGE, ROUNDS, SLICES, SLOW, SMALLEST_BATCH},
    pump::miscounted,
    stash,
    state::State,
    transport::TransportWrite,
};
use crate::{Transmit, buffer::copying};

/// Moves output from the session to the transport.
pub struct WritePump {
    pub(super) output: Output,
    /// It is large while the transport soon takes what it is offered. One that takes its time would
    /// have what is urgent wait behind a large batch.
    batch: Transmit,
    /// Since when the transport has been offered a large write of which it has taken nothing.
    offered: Option<Duration>,
    /// Written since others last had their turn.
    since_turn: usize,
}

impl WritePump {
    pub(super) fn new(output: Output) -> Self {
        let mut batch = Transmit::new();
        batch.set_batch_size(SMALLEST_BATCH);
        Self {
            output,
            batch,
            offered: None,
            since_turn: 0,
        }
    }

    /// See [`Transmit::set_long_turns`].
    pub fn set_long_turns(&mut self, are_long: bool) {
        self.batch.set_long_turns(are_long);
    }

    /// Writes until the write side is shut or the session ends. Pending while the transport takes
    /// nothing or there is nothing to write; now and then it is pending and wakes itself, to let
    /// others run, [all others](TransportWrite::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        let poll = self.pump(cx, transport);
        self.rest();
        poll
    }

    fn pump(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        for _ in 0..ROUNDS {
            if self.output.pump.done {
                return Poll::Ready(());
            }
            let step = ready!(self.output.poll_next(cx, &mut self.batch));
            if self.take(cx, transport, step).is_pending() {
                match step {
                    Step::Write => ready!(self.wait_for_flush(cx)),
                    _ => return Poll::Pending,
                }
            }
            if self.makes_way(cx, transport) {
                self.note_written();
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// As [`Output::next_of`], with the pump's batch. Call [`rest`](Self::rest) later.
    pub(super) fn next_of(&mut self, state: &mut State, now: Duration) -> Poll<Option<Step>> {
        self.output.next_of(state, now, &mut self.batch)
    }

    /// Takes a step, without the lock. Pending if the transport is not ready for it.
    pub(super) fn take(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
        step: Step,
    ) -> Poll<()> {
        let result = ready!(match step {
            Step::Write => self.write(cx, transport),
            Step::Flush => transport.poll_flush(cx).map_ok(|()| self.output.flushed()),
            Step::Close => transport.poll_close(cx).map(|closed| {
                self.output.end();
                closed
            }),
            Step::Done => {
                if !self.output.pump.done {
                    self.output.end();
                }
                Poll::Ready(Ok(()))
            }
        });
        if let Err(error) = result {
            self.output.fail(error);
        }
        Poll::Ready(())
    }

    /// After a large batch, tasks that write to streams have a turn: the data is still in the
    /// processor's cache, and the queues have not run empty. True: the pump goes on after them, and
    /// is to [note](Self::note_written) what is written.
    pub(super) fn makes_way(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> bool {
        let makes_way = self.since_turn >= LARGEST_BATCH && !self.output.pump.done;
        if makes_way {
            self.since_turn = 0;
            transport.yield_now(cx);
        }
        makes_way
    }

    /// Whether the transport has passed on all that there was when the session was last asked.
    pub(super) fn has_written_all(&self) -> bool {
        let progress = &self.output.progress;
        !self.batch.has_remaining() && progress.flushed == Some(progress.written)
    }

    /// The pump does nothing for a while.
    pub(super) fn rest(&mut self) {
        self.since_turn = 0;
        self.batch.release();
        give_up_memory(&mut self.batch);
    }

    /// The transport takes no bytes. Ready if it has taken some that a flush waits for.
    fn wait_for_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.output.flushes_wake {
            return Poll::Pending;
        }
        self.output.pump.shared.poll_on_streams(
            cx,
            |state| match state.flushes.is_wanted() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
            |state, waker| waker.place(&mut state.pumps.blocked_write),
        )
    }

    /// Writes, and flushes if that was all: one lock is enough then to tell the session both.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.write_some(cx, transport))?;
        let progress = &mut self.output.progress;
        progress.written += count as u64;
        self.since_turn += count;
        if !self.batch.has_remaining()
            && !self.batch.more_follows()
            && let Poll::Ready(flushed) = transport.poll_flush(cx)
        {
            flushed?;
            progress.flushed = Some(progress.written);
        }
        Poll::Ready(Ok(()))
    }

    fn write_some(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<usize>> {
        let chunk = self.batch.chunk();
        let is_small = chunk.len() == self.batch.remaining() && chunk.len() < SMALLEST_BATCH;
        if !is_small || self.batch.more_follows() {
            return self.write_large(cx, transport);
        }
        let count = ready!(transport.poll_write(cx, &[IoSlice::new(chunk)]))?;
        let most = chunk.len();
        self.offered = None;
        self.batch.advance(count.min(most));
        Poll::Ready(checked(count, most))
    }

    /// As [`write_some`](Self::write_some), of any batch. Apart, since the slices alone take longer
    /// to clear than a small write takes beside the kernel.
    #[inline(never)]
    fn write_large(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<usize>> {
        let Self {
            output,
            batch,
            offered: since,
            ..
        } = self;
        let mut chunks = [IoSlice::new(&[]); SLICES];
        let count = batch.chunks_vectored(&mut chunks);
        let chunks = &chunks[..count];
        let mut slices = [IoSlice::new(&[]); SLICES];
        // Gathering costs a copy, and more of it wins nothing.
        let limit = if transport.is_vectored() {
            batch.batch_size()
        } else {
            SMALLEST_BATCH
        };
        let offered = if batch.more_follows() || batch.remaining() > limit {
            end_with_page(chunks, limit, output.progress.written, &mut slices)
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
        let pump = &mut output.pump;
        if most >= SMALLEST_BATCH && since.is_none() {
            *since = Some(pump.now());
        }
        let result = transport.poll_write(cx, offered);
        if buffer.capacity() > 0 {
            stash::put_gathered(buffer);
        }
        let count = ready!(result)?;
        let waited = since
            .take()
            .map(|since| pump.look_again().saturating_sub(since));
        if waited.is_some_and(|waited| is_slow(count, waited)) {
            // Not to the smallest at once: it may be this thread that had to wait.
            let half = batch.batch_size() / 2;
            batch.set_batch_size(half.max(SMALLEST_BATCH));
        } else if count == most && most >= limit && transport.is_vectored() {
            batch.set_batch_size((2 * limit).min(LARGEST_BATCH));
        }
        batch.advance(count.min(most));
        Poll::Ready(checked(count, most))
    }

    /// Waiting for its turn, the pump does not wait for the transport.
    fn note_written(&mut self) {
        let Self { output, batch, .. } = self;
        let (pump, progress) = (&output.pump, &mut output.progress);
        let now = pump.now();
        pump.shared.act(|state| progress.note(state, now, batch));
    }

    /// As [`note_written`](Self::note_written) under a lock that others hold.
    pub(super) fn note_to(&mut self, state: &mut State, now: Duration) {
        self.output.progress.note(state, now, &mut self.batch);
    }
}

/// What a write has taken of what it was offered.
fn checked(count: usize, offered: usize) -> io::Result<usize> {
    match count {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ if count > offered => Err(miscounted()),
        _ => Ok(count),
    }
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
        copying::put(into, &slice[..slice.len().min(room)]);
    }
}

impl fmt::Debug for WritePump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePump").finish_non_exhaustive()
    }
}
