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
    transport::TransportWrite,
};
use crate::Transmit;

/// Moves output from the session to the transport.
pub struct WritePump {
    pub(super) output: Output,
    /// It is large while the transport soon takes what it is offered. One that takes its time would
    /// have what is urgent wait behind a large batch.
    batch: Transmit,
    /// Since when the transport has been offered a large write of which it has taken nothing.
    offered: Option<Duration>,
}

impl WritePump {
    pub(super) fn new(output: Output) -> Self {
        let mut batch = Transmit::new();
        batch.set_batch_size(SMALLEST_BATCH);
        Self {
            output,
            batch,
            offered: None,
        }
    }

    /// Writes until the write side is shut or the session ends. Pending while the transport takes
    /// nothing or there is nothing to write; now and then it is pending and wakes itself, to let
    /// others run, [all others](TransportWrite::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        let poll = self.pump(cx, transport);
        give_up_memory(&mut self.batch);
        poll
    }

    fn pump(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        let mut written = 0;
        for _ in 0..ROUNDS {
            if self.output.pump.done {
                return Poll::Ready(());
            }
            // After a large batch, tasks that write to streams have a turn: the data is still in
            // the processor's cache, and the queues have not run empty.
            if written >= LARGEST_BATCH {
                self.note_written();
                transport.yield_now(cx);
                return Poll::Pending;
            }
            let result = match ready!(self.output.poll_next(cx, &mut self.batch)) {
                Step::Write => match self.write(cx, transport) {
                    Poll::Ready(result) => result.map(|count| written += count),
                    Poll::Pending => {
                        ready!(self.wait_for_flush(cx));
                        continue;
                    }
                },
                Step::Flush => {
                    let flushed = ready!(transport.poll_flush(cx));
                    flushed.map(|()| self.output.flushed())
                }
                Step::Close => {
                    let closed = ready!(transport.poll_close(cx));
                    self.output.end();
                    closed
                }
                Step::Done => Ok(()),
            };
            if let Err(error) = result {
                self.output.fail(error);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
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
            end_with_page(chunks, limit, self.output.written, &mut slices)
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
        let shared = &self.output.pump.shared;
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
        let now = self.output.pump.now();
        let batch = &mut self.batch;
        self.output
            .pump
            .shared
            .act(|state| state.session.handle_written(now, batch));
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
        into.extend_from_slice(&slice[..slice.len().min(room)]);
    }
}

impl fmt::Debug for WritePump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePump").finish_non_exhaustive()
    }
}
