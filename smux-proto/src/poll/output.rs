//! Output without a transport: what is to be written is handed out.

use std::{
    fmt, io,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf;

use super::{pacing::Courtesy, pump::Pump, stash, state::State};
use crate::{Transmit, TransportError};

/// Tells what to do with a session's transport, by any means: the lower half of a
/// [`WritePump`](super::WritePump).
///
/// In turns, [`poll_next`](Self::poll_next) until it is ready, then the [`Step`] that it asks for,
/// of which there is never more than one at a time. A step that fails is the
/// [end](Self::fail) of the output.
pub struct Output {
    pub(super) pump: Pump,
    pub(super) progress: Progress,
    /// The waker for flushes while a write is blocked is in its place.
    pub(super) flushes_wake: bool,
}

/// How far the transport has come.
#[derive(Default)]
pub(super) struct Progress {
    /// How much of the session's output the transport has taken.
    pub(super) written: u64,
    /// How much of it the flush under way covers.
    flushing: u64,
    /// How much of it is flushed, until the session is told.
    pub(super) flushed: Option<u64>,
    courtesy: Courtesy,
}

/// What is to be done with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the batch, or its beginning, and [advance](Buf::advance) it by what was written.
    Write,
    /// Send on what the transport holds back; then [`flushed`](Output::flushed).
    Flush,
    /// End the writing side; then [`end`](Output::end). Reading goes on.
    Close,
    /// Nothing is left to write, ever.
    Done,
}

impl Output {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            progress: Progress::default(),
            flushes_wake: false,
        }
    }

    /// Tells the next step, and fills the batch for a write. Pending until there is something to
    /// do.
    ///
    /// Give it the same batch each time: that is how the session learns what was written. The batch
    /// may move to an operation in flight, and comes back with it; its bytes stay where they are in
    /// memory. A part that was not written is offered again, with what follows it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, batch: &mut Transmit) -> Poll<Step> {
        if self.pump.done {
            return Poll::Ready(Step::Done);
        }
        let now = self.pump.now();
        let Self {
            pump,
            progress,
            flushes_wake,
        } = self;
        let next = pump.shared.poll(
            cx,
            |state| {
                let blocked = state.pumps.blocked_write.as_ref();
                *flushes_wake = blocked.is_some_and(|waker| waker.will_wake(cx.waker()));
                progress.next(state, now, batch)
            },
            |state, waker| waker.place(&mut state.pumps.write),
        );
        batch.release();
        match next {
            Poll::Ready(Some(step)) => {
                if step == Step::Done {
                    self.end();
                }
                Poll::Ready(step)
            }
            Poll::Ready(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                give_up_memory(batch);
                Poll::Pending
            }
        }
    }

    /// As [`poll_next`](Self::poll_next) under a lock that others hold; `None` if others are to
    /// have their turn first. Release the batch later.
    pub(super) fn next_of(
        &mut self,
        state: &mut State,
        now: Duration,
        batch: &mut Transmit,
    ) -> Poll<Option<Step>> {
        if self.pump.done {
            return Poll::Pending;
        }
        self.progress.next(state, now, batch)
    }

    /// A flush has succeeded. The session is told with the next step.
    pub fn flushed(&mut self) {
        self.progress.flushed = Some(self.progress.flushing);
    }

    /// The writing side of the transport has ended.
    pub fn end(&mut self) {
        self.pump.done = true;
        self.pump.shared.act(|state| state.end_writing(true));
    }

    /// A step has failed. The session writes nothing more, and ends once it has received what the
    /// peer had sent.
    pub fn fail(&mut self, error: io::Error) {
        let now = self.pump.now();
        let error = TransportError::from(error);
        self.pump.shared.act(|state| {
            state.session.handle_write_error(now, error.clone());
        });
        self.end();
    }
}

/// Leaves the memory of an empty batch to other sessions of the thread.
pub(super) fn give_up_memory(batch: &mut Transmit) {
    if let Some(memory) = batch.take_memory() {
        stash::put_batch(memory);
    }
}

impl Progress {
    /// Tells the session what the transport has taken and passed on.
    pub(super) fn note(&mut self, state: &mut State, now: Duration, batch: &mut Transmit) {
        let State {
            session, flushes, ..
        } = state;
        self.written = session.bytes_emitted() - batch.remaining() as u64;
        // Most looks at a session come after none of its bytes were written.
        if self.written != flushes.written() || batch.has_spent() {
            session.handle_written(now, batch);
            flushes.set_written(self.written);
        } else {
            session.advance_time(now);
        }
        if let Some(mark) = self.flushed.take() {
            session.handle_flush_end(now);
            flushes.set_flushed(mark);
        }
    }

    fn next(
        &mut self,
        state: &mut State,
        now: Duration,
        batch: &mut Transmit,
    ) -> Poll<Option<Step>> {
        self.note(state, now, batch);
        state.take_in_outboxes();
        let State {
            session, flushes, ..
        } = state;
        let unflushed = !flushes.is_all_flushed();
        if session.is_terminated() {
            // A thread that reads may see the end first: what was written before it still counts.
            return Poll::Ready(Some(match unflushed {
                true => self.flush(),
                false => Step::Done,
            }));
        }
        // A session that always has more to send would never flush otherwise.
        let flush = flushes.is_wanted();
        let (has_part, wants_more) = (batch.has_remaining(), session.wants_transmit());
        if !has_part && wants_more && self.courtesy.makes_way(state.crowd) {
            return Poll::Ready(None);
        }
        if wants_more
            && !batch.has_memory()
            && let Some(memory) = stash::take_batch()
        {
            batch.set_memory(memory);
        }
        if !flush && (has_part || wants_more) && session.poll_transmit(now, batch) {
            self.courtesy.batch_taken();
            return Poll::Ready(Some(Step::Write));
        }
        if unflushed {
            session.handle_flush_begin(now);
            return Poll::Ready(Some(self.flush()));
        }
        if session.wants_shutdown() {
            return Poll::Ready(Some(Step::Close));
        }
        Poll::Pending
    }

    fn flush(&mut self) -> Step {
        self.flushing = self.written;
        Step::Flush
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let done = self.pump.done;
        self.pump.shared.act(|state| state.end_writing(done));
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}
