//! Input: from the transport to the session.

use std::{
    fmt, io, mem,
    ops::Range,
    task::{Context, Poll, ready},
};

use super::{
    pacing::{BUFFER, Pace, ROUNDS},
    pump::{Pump, miscounted},
    stash::{ReadBuffer, Reader, leave_reads},
    state::State,
    transport::TransportRead,
};
use crate::TransportError;

/// Moves input from the transport to the session.
pub struct ReadPump {
    pub(super) pump: Pump,
    /// From before a read until the session has taken all of it.
    buffer: Option<ReadBuffer>,
    reader: Reader,
    /// What was read and the session has not taken.
    unread: Range<usize>,
    /// The session wanted no more input when last asked.
    stalled: bool,
    /// The last read filled the buffer.
    filled: bool,
    pace: Pace,
}

impl ReadPump {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            buffer: None,
            reader: Reader::new(),
            unread: 0..0,
            stalled: false,
            filled: false,
            pace: Pace::new(),
        }
    }

    /// Reads until the input ends or the session does. Pending while the transport has nothing or
    /// the session has no room; now and then it is pending and wakes itself, to let others run,
    /// [all others](TransportRead::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        let poll = self.pump(cx, transport);
        self.give_up_buffer();
        poll
    }

    /// Leaves the buffer to other sessions. One that waits for room keeps what it has not taken, in
    /// memory of its own unless that is most of the buffer.
    fn give_up_buffer(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
            if let Some(buffer) = self.buffer.take() {
                buffer.put();
            }
        } else if self.stalled
            && self.unread.len() <= BUFFER / 2
            && let Some(buffer) = &mut self.buffer
            && buffer.is_whole()
        {
            let rest = buffer.split_off(self.unread.clone());
            mem::replace(buffer, rest).put();
            self.unread = 0..self.unread.len();
        }
    }

    fn pump(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        for _ in 0..ROUNDS {
            while self.stalled || !self.unread.is_empty() {
                if !ready!(self.deliver(cx)) {
                    // At once, behind those whom the piece has woken. To wait for all others too,
                    // as `yield_now` may, would leave both ends idle: with several threads that
                    // took half of the rate of concurrent requests.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            if self.pump.done {
                return Poll::Ready(());
            }
            // After a full buffer, tasks that read from streams have a turn, while it is in the
            // processor's cache.
            if mem::take(&mut self.filled) {
                transport.yield_now(cx);
                return Poll::Pending;
            }
            let buffer = self.room(transport.wanted_room().clamp(1, BUFFER));
            let read = ready!(transport.poll_read(cx, buffer.room()));
            self.received(read);
        }
        if self.pump.done {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A buffer of this size, now that all that was read before is taken.
    fn room(&mut self, size: usize) -> &mut ReadBuffer {
        self.unread = 0..0;
        let before = self.buffer.take();
        let reader = self.reader;
        self.buffer.insert(match before {
            Some(buffer) if buffer.size() == size => buffer,
            before => {
                if let Some(buffer) = before {
                    buffer.put();
                }
                if size < BUFFER {
                    leave_reads();
                }
                ReadBuffer::take(reader, size)
            }
        })
    }

    fn received(&mut self, read: io::Result<usize>) {
        let shared = &self.pump.shared;
        let room = self.buffer.as_ref().map_or(0, ReadBuffer::size);
        match read {
            Ok(0) => {
                let now = self.pump.now();
                shared.act(|state| state.session.handle_eof(now));
            }
            Ok(count) if count <= room => {
                if let Some(buffer) = &mut self.buffer {
                    buffer.note(count);
                }
                self.unread = 0..count;
                self.filled = count == BUFFER;
                return;
            }
            Ok(_) => self.fail(miscounted()),
            Err(error) => self.fail(error),
        }
        self.pump.done = true;
        // What the transport wrote without reporting it is not known.
        if let Some(buffer) = &mut self.buffer {
            buffer.note(BUFFER);
        }
    }

    fn fail(&self, error: io::Error) {
        // Also the error that the session has no use for is formatted and dropped without the lock.
        let error = TransportError::from(error);
        let shared = &self.pump.shared;
        shared.act(|state| state.session.handle_transport_error(error.clone()));
    }

    /// Gives the session what it has room for. Pending until it wants more; `false` if others
    /// should run first.
    fn deliver(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let shared = &self.pump.shared;
        let now = self.pump.now();
        let Self {
            pace,
            unread,
            buffer,
            ..
        } = self;
        let mut consumed = 0;
        let wanted = shared.act(|state| {
            let piece = pace.next(state.streams_woken)?;
            let bytes = buffer.as_ref().map_or(&[][..], ReadBuffer::bytes);
            let unread = &bytes[unread.clone()][..piece.min(unread.len())];
            state.reserve(unread.len());
            if !unread.is_empty() {
                // An error is the session's close reason, and all that follows is discarded.
                consumed = state
                    .session
                    .handle_input(now, unread)
                    .unwrap_or(unread.len());
            }
            Some(wants_input(state))
        });
        self.unread.start += consumed;
        let Some(mut wanted) = wanted else {
            return Poll::Ready(false);
        };
        if wanted.is_pending() {
            wanted = shared.poll(cx, wants_input, |state, waker| {
                waker.place(&mut state.pumps.read);
            });
        }
        self.stalled = wanted.is_pending();
        self.pump.done |= wanted == Poll::Ready(Wanted::Ended);
        wanted.map(|_| true)
    }
}

/// Whether the session takes input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    More,
    /// The pump stops: nothing it could read is of use.
    Ended,
}

fn wants_input(state: &mut State) -> Poll<Wanted> {
    if state.session.is_terminated() {
        return Poll::Ready(Wanted::Ended);
    }
    if !state.session.wants_input() {
        state.reserve(0);
    }
    if state.session.wants_input() {
        Poll::Ready(Wanted::More)
    } else {
        Poll::Pending
    }
}

impl fmt::Debug for ReadPump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPump").finish_non_exhaustive()
    }
}
