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
    pacing::{BUFFER, Courtesy, LARGEST_BATCH, PAGE, ROUNDS, SLICES, SLOW, SMALLEST_BATCH},
    pump::{Pump, miscounted},
    stash,
    state::State,
    transport::TransportWrite,
};
use crate::{Transmit, TransportError};

/// Moves output from the session to the transport.
pub struct WritePump {
    pub(super) pump: Pump,
    output: Output,
    /// The waker for flushes while a write is blocked is in its place.
    flushes_wake: bool,
}

/// What the transport is to take.
struct Output {
    /// It is large while the transport takes all at once. One that takes its time would have what
    /// is urgent wait behind a large batch.
    batch: Transmit,
    /// How much of the session's output the transport has taken.
    written: u64,
    /// The transport is flushed up to here, which the session is not told yet.
    flushed: Option<u64>,
    /// Written since others last had their turn.
    since_turn: usize,
    courtesy: Courtesy,
}

/// What is to be done with the transport.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, before others have had their turn.
    MakeWay,
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
            output: Output {
                batch,
                written: 0,
                flushed: None,
                since_turn: 0,
                courtesy: Courtesy::default(),
            },
            flushes_wake: false,
        }
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
            if self.pump.done {
                return Poll::Ready(());
            }
            let step = ready!(self.next(cx));
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

    /// Decides what to do next, and takes a new batch when the last one is written. Pending until
    /// there is something to do.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Self {
            pump,
            output,
            flushes_wake,
        } = self;
        let now = pump.now();
        let next = pump.shared.poll(
            cx,
            |state| {
                let blocked = state.pumps.blocked_write.as_ref();
                *flushes_wake = blocked.is_some_and(|waker| waker.will_wake(cx.waker()));
                output.next(state, now)
            },
            |state, waker| waker.place(&mut state.pumps.write),
        );
        output.batch.release();
        next
    }

    /// As [`next`](Self::next) under a lock that others hold. Call [`rest`](Self::rest) later.
    pub(super) fn next_of(&mut self, state: &mut State, now: Duration) -> Poll<Step> {
        if self.pump.done {
            return Poll::Pending;
        }
        self.output.next(state, now)
    }

    /// Takes a step, without the lock. Pending if the transport is not ready for it.
    pub(super) fn take(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
        step: Step,
    ) -> Poll<()> {
        let result = ready!(match step {
            Step::MakeWay => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Write => self.write(cx, transport),
            Step::Flush(mark) => {
                let flushed = transport.poll_flush(cx);
                flushed.map_ok(|()| self.output.flushed = Some(mark))
            }
            Step::Close => transport.poll_close(cx).map(|closed| {
                self.end();
                closed
            }),
            Step::Done => {
                self.end();
                Poll::Ready(Ok(()))
            }
        });
        if let Err(error) = result {
            self.fail(error);
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
        let makes_way = self.output.since_turn >= LARGEST_BATCH && !self.pump.done;
        if makes_way {
            self.output.since_turn = 0;
            transport.yield_now(cx);
        }
        makes_way
    }

    /// The pump does nothing for a while.
    pub(super) fn rest(&mut self) {
        let output = &mut self.output;
        output.since_turn = 0;
        output.batch.release();
        if let Some(memory) = output.batch.take_memory() {
            stash::put_batch(memory);
        }
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

    /// Writes, and flushes if that was all: one lock is enough then to tell the session both.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.write_some(cx, transport))?;
        let output = &mut self.output;
        output.written += count as u64;
        output.since_turn += count;
        if !output.batch.has_remaining()
            && !output.batch.more_follows()
            && let Poll::Ready(flushed) = transport.poll_flush(cx)
        {
            flushed?;
            output.flushed = Some(output.written);
        }
        Poll::Ready(Ok(()))
    }

    fn write_some(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<usize>> {
        let Self { pump, output, .. } = self;
        let batch = &mut output.batch;
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
            end_with_page(chunks, limit, output.written, &mut slices)
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
        let began = (most >= SMALLEST_BATCH).then(|| pump.now());
        let result = transport.poll_write(cx, offered);
        if buffer.capacity() > 0 {
            stash::put_gathered(buffer);
        }
        let is_slow = began.is_some_and(|began| pump.look_again().saturating_sub(began) > SLOW);
        if !matches!(result, Poll::Ready(Ok(count)) if count == most) || is_slow {
            batch.set_batch_size(SMALLEST_BATCH);
        } else if most >= limit && transport.is_vectored() {
            batch.set_batch_size((2 * limit).min(LARGEST_BATCH));
        }
        let count = ready!(result)?;
        batch.advance(count.min(most));
        Poll::Ready(match count {
            0 => Err(io::ErrorKind::WriteZero.into()),
            _ if count > most => Err(miscounted()),
            _ => Ok(count),
        })
    }

    /// Waiting for its turn, the pump does not wait for the transport.
    fn note_written(&mut self) {
        let Self { pump, output, .. } = self;
        let now = pump.now();
        pump.shared.act(|state| output.note(state, now));
    }

    /// As [`note_written`](Self::note_written) under a lock that others hold.
    pub(super) fn note_to(&mut self, state: &mut State, now: Duration) {
        self.output.note(state, now);
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
}

impl Output {
    /// Tells the session what the transport has taken and passed on.
    fn note(&mut self, state: &mut State, now: Duration) {
        let State {
            session, flushes, ..
        } = state;
        session.handle_written(now, &mut self.batch);
        self.written = session.bytes_emitted() - self.batch.remaining() as u64;
        flushes.set_written(self.written);
        if let Some(mark) = self.flushed.take() {
            session.handle_flush_end(now);
            flushes.set_flushed(mark);
        }
    }

    fn next(&mut self, state: &mut State, now: Duration) -> Poll<Step> {
        self.note(state, now);
        let State {
            session, flushes, ..
        } = state;
        let unflushed = !flushes.is_all_flushed();
        if session.is_terminated() {
            // A thread that reads may see the end first: what was written before it still counts.
            return Poll::Ready(if unflushed {
                Step::Flush(self.written)
            } else {
                Step::Done
            });
        }
        // A session that always has more to send would never flush otherwise.
        let flush = flushes.is_wanted();
        let batch = &mut self.batch;
        if !batch.has_remaining()
            && session.wants_transmit()
            && self.courtesy.makes_way(state.crowd)
        {
            return Poll::Ready(Step::MakeWay);
        }
        if session.wants_transmit()
            && !batch.has_memory()
            && let Some(memory) = stash::take_batch()
        {
            batch.set_memory(memory);
        }
        if !flush && session.poll_transmit(now, batch) {
            self.courtesy.batch_taken();
            return Poll::Ready(Step::Write);
        }
        if unflushed {
            session.handle_flush_begin(now);
            return Poll::Ready(Step::Flush(self.written));
        }
        if session.wants_shutdown() {
            return Poll::Ready(Step::Close);
        }
        Poll::Pending
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
