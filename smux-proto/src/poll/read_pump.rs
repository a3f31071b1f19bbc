//! Input: from the transport to the session.

use std::{
    fmt, io, mem,
    ops::Range,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    input::{Delivery, Input},
    pacing::{BUFFER, ROUNDS},
    pump::miscounted,
    stash::{ReadBuffer, Reader, leave_reads},
    state::State,
    transport::TransportRead,
};

/// Moves input from the transport to the session.
pub struct ReadPump {
    pub(super) input: Input,
    /// From before a read until the session has taken all of it.
    buffer: Option<ReadBuffer>,
    reader: Reader,
    /// What was read and the session has not taken.
    unread: Range<usize>,
    /// The last read filled the buffer.
    filled: bool,
}

impl ReadPump {
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            buffer: None,
            reader: Reader::new(),
            unread: 0..0,
            filled: false,
        }
    }

    /// Reads until the input ends or the session does. Pending while the transport has nothing or
    /// the session has no room; now and then it is pending and wakes itself, to let others run,
    /// [all others](TransportRead::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        let poll = self.pump(cx, transport);
        if poll.is_ready() || self.input.is_stalled() || !transport.keeps_buffer() {
            self.rest();
        }
        poll
    }

    /// The pump does nothing for a while, and leaves the buffer to other sessions. One that waits
    /// for room keeps what it has not taken, in memory of its own unless that is most of the
    /// buffer.
    pub(super) fn rest(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
            if let Some(buffer) = self.buffer.take() {
                buffer.put();
            }
        } else if self.input.is_stalled()
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
            if !ready!(self.deliver(cx)) {
                return Poll::Ready(());
            }
            ready!(self.fetch(cx, transport));
        }
        if self.input.is_over() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads if the session has taken all that was read before. Ready if there is something to
    /// [deliver](Self::deliver_to), or to ask the session for; pending also once nothing is read
    /// any more.
    pub(super) fn fetch(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut impl TransportRead,
    ) -> Poll<()> {
        if self.input.is_over() {
            return Poll::Pending;
        }
        if self.input.is_stalled() || !self.unread.is_empty() {
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
        Poll::Ready(())
    }

    /// A buffer of this size, now that all that was read before is taken.
    fn room(&mut self, size: usize) -> &mut ReadBuffer {
        self.unread = 0..0;
        if let Some(other) = self.buffer.take_if(|buffer| buffer.size() != size) {
            other.put();
        }
        let reader = self.reader;
        self.buffer.get_or_insert_with(|| {
            if size < BUFFER {
                leave_reads();
            }
            ReadBuffer::take(reader, size)
        })
    }

    fn received(&mut self, read: io::Result<usize>) {
        let room = self.buffer.as_ref().map_or(0, ReadBuffer::size);
        match read {
            Ok(0) => self.input.end(),
            Ok(count) if count <= room => {
                if let Some(buffer) = &mut self.buffer {
                    buffer.note(count);
                }
                self.unread = 0..count;
                self.filled = count == BUFFER;
                return;
            }
            Ok(_) => self.input.fail(miscounted()),
            Err(error) => self.input.fail(error),
        }
        // What the transport wrote without reporting it is not known.
        if let Some(buffer) = &mut self.buffer {
            buffer.note(BUFFER);
        }
    }

    /// Gives the session what was read. Ready once it has taken all: true if it wants more.
    fn deliver(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let bytes = self.buffer.as_ref().map_or(&[][..], ReadBuffer::bytes);
        let mut unread = &bytes[self.unread.clone()];
        let wanted = self.input.poll_deliver(cx, &mut unread);
        self.unread.start = self.unread.end - unread.len();
        wanted
    }

    /// As [`Input::deliver_to`], of what was read.
    pub(super) fn deliver_to(&mut self, state: &mut State, now: Duration) -> Delivery {
        let bytes = self.buffer.as_ref().map_or(&[][..], ReadBuffer::bytes);
        let mut unread = &bytes[self.unread.clone()];
        let delivery = self.input.deliver_to(state, now, &mut unread);
        self.unread.start = self.unread.end - unread.len();
        delivery
    }
}

impl fmt::Debug for ReadPump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPump").finish_non_exhaustive()
    }
}
