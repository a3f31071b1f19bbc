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
    pumps::{BUFFER, Pump, ROUNDS, miscounted},
    shared::State,
    transport::TransportWrite,
    wakers::replace,
};
use crate::Transmit;

/// Slices per vectored write, many full frames or some hundred small ones that lie together.
const SLICES: usize = 64;

/// Where writes end while more follows. A kernel copies what it is given into pages; after a write that ends inside of one,
/// every later copy is out of step with them, and on loopback TCP bulk data moves at half to two thirds of the speed.
/// What is left is a [tail](Transmit::more_follows).
const PAGE: u64 = 4096;

/// Moves output from the session to the transport.
pub struct WritePump {
    pump: Pump,
    batch: Transmit,
    /// For transports that gain nothing from vectored writes.
    gathered: Vec<u8>,
    /// How much of the session's output the transport has taken.
    written: u64,
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
        Self {
            pump,
            batch: Transmit::new(),
            gathered: Vec::new(),
            written: 0,
        }
    }

    /// Writes until the write side is shut or the session ends. Pending while the transport takes nothing or there is nothing
    /// to write; now and then it is pending and [wakes itself](TransportWrite::yield_now), to let others run.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportWrite) -> Poll<()> {
        for _ in 0..ROUNDS {
            if self.pump.done {
                return Poll::Ready(());
            }
            let result = match ready!(self.next(cx)) {
                Output::Write => ready!(self.write(cx, transport)),
                Output::Flush(mark) => {
                    let flushed = ready!(transport.poll_flush(cx));
                    flushed.map(|()| self.flushed(mark))
                }
                Output::Close => {
                    let closed = ready!(transport.poll_close(cx));
                    self.pump.done = true;
                    closed
                }
                Output::Done => {
                    self.pump.done = true;
                    Ok(())
                }
            };
            if let Err(error) = result {
                self.fail(error);
                self.pump.done = true;
            }
        }
        transport.yield_now(cx);
        Poll::Pending
    }

    /// Whoever is about to poll this pump need not be woken for it.
    pub(super) fn awake(&self) {
        let waker = self.pump.shared.with(|state| state.pumps.write.take());
        drop(waker);
    }

    /// Decides what to do next, and takes a new batch when the last one is written. Pending until there is something to do.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        let Self {
            pump,
            batch,
            written,
            ..
        } = self;
        let now = pump.shared.now();
        pump.shared.poll(
            cx,
            |state| next_output(state, now, batch, written),
            |state, waker| replace(&mut state.pumps.write, waker),
        )
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportWrite,
    ) -> Poll<io::Result<()>> {
        let mut chunks = [IoSlice::new(&[]); SLICES];
        let count = self.batch.chunks_vectored(&mut chunks);
        let chunks = &chunks[..count];
        let mut slices = [IoSlice::new(&[]); SLICES];
        let offered = if self.batch.more_follows() {
            end_with_page(chunks, self.written, &mut slices)
        } else {
            chunks
        };
        let gathered;
        let offered = if offered.len() > 1 && !transport.is_vectored() {
            gather(&mut self.gathered, offered);
            gathered = [IoSlice::new(&self.gathered)];
            &gathered
        } else {
            offered
        };
        let count = ready!(transport.poll_write(cx, offered))?;
        let most = offered.iter().map(|slice| slice.len()).sum();
        self.batch.advance(count.min(most));
        Poll::Ready(match count {
            0 => Err(io::ErrorKind::WriteZero.into()),
            _ if count > most => Err(miscounted()),
            _ => Ok(()),
        })
    }

    /// The reading side may still have something, so this is not the session's end yet.
    fn fail(&self, error: io::Error) {
        let now = self.pump.shared.now();
        self.pump.shared.with(|state| {
            state.session.handle_write_error(now, error.into());
            state.flushes.end();
        });
    }

    fn flushed(&self, mark: u64) {
        let now = self.pump.shared.now();
        self.pump.shared.with(|state| {
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
    let unflushed = *written > flushes.flushed();
    if session.is_terminated() {
        // A thread that reads may see the end first: what was written before it still counts.
        return Poll::Ready(if unflushed {
            Output::Flush(*written)
        } else {
            Output::Done
        });
    }
    // A session that always has more to send would never flush otherwise.
    if unflushed && flushes.is_waited_for() {
        session.handle_flush_begin(now);
        return Poll::Ready(Output::Flush(*written));
    }
    if session.poll_transmit(now, batch) {
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

/// What to write of `chunks`, which go to `position` and on: up to the end of the last page that they reach, or all if they
/// reach none.
fn end_with_page<'a>(
    chunks: &'a [IoSlice<'_>],
    position: u64,
    slices: &'a mut [IoSlice<'a>; SLICES],
) -> &'a [IoSlice<'a>] {
    let total: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let beyond = (position + total as u64) % PAGE;
    let Some(mut left) = usize::try_from(beyond)
        .ok()
        .and_then(|beyond| total.checked_sub(beyond))
        .filter(|left| *left > 0)
    else {
        return chunks;
    };
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
