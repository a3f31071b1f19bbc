//! Input: from the transport to the session.

use std::{
    fmt, io, mem,
    ops::Range,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    pacing::{BUFFER, Pace, ROUNDS},
    pump::{Pump, miscounted},
    stash::{ReadBuffer, Reader},
    state::State,
    transport::TransportRead,
};
use crate::TransportError;

/// Moves input from the transport to the session.
pub struct ReadPump {
    pub(super) pump: Pump,
    input: Input,
}

/// What was read and the session has not taken.
struct Input {
    /// From before a read until the session has taken all of it.
    buffer: Option<ReadBuffer>,
    reader: Reader,
    /// The part of the buffer that the session has not taken.
    unread: Range<usize>,
    /// The session wanted no more input when last asked.
    stalled: bool,
    /// The last read filled the buffer.
    filled: bool,
    pace: Pace,
}

/// What came of offering input to the session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It took some, and wants more.
    Taken,
    /// It took some, and has no room for more now.
    Stalled,
    /// It was offered nothing: those that were woken have their turn first.
    MakeWay,
    /// The pump stops: nothing it could read is of use.
    Ended,
}

impl ReadPump {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            input: Input {
                buffer: None,
                reader: Reader::new(),
                unread: 0..0,
                stalled: false,
                filled: false,
                pace: Pace::new(),
            },
        }
    }

    /// Reads until the input ends or the session does. Pending while the transport has nothing or
    /// the session has no room; now and then it is pending and wakes itself, to let others run,
    /// [all others](TransportRead::yield_now) after much data.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        let poll = self.pump(cx, transport);
        self.rest();
        poll
    }

    fn pump(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        for _ in 0..ROUNDS {
            while !self.pump.done && self.input.is_for_session() {
                ready!(self.deliver(cx));
            }
            if self.pump.done {
                return Poll::Ready(());
            }
            ready!(self.fetch(cx, transport));
        }
        if self.pump.done {
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
        let input = &mut self.input;
        if self.pump.done {
            return Poll::Pending;
        }
        if input.is_for_session() {
            return Poll::Ready(());
        }
        // After a full buffer, tasks that read from streams have a turn, while it is in the
        // processor's cache.
        if mem::take(&mut input.filled) {
            transport.yield_now(cx);
            return Poll::Pending;
        }
        // All that was read before is taken.
        let buffer = input.buffer.take().filter(ReadBuffer::is_whole);
        let buffer = buffer.unwrap_or_else(|| ReadBuffer::take(input.reader));
        let buffer = input.buffer.insert(buffer);
        let read = ready!(transport.poll_read(cx, buffer.room()));
        self.received(read);
        Poll::Ready(())
    }

    fn received(&mut self, read: io::Result<usize>) {
        let shared = &self.pump.shared;
        match read {
            Ok(0) => {
                let now = self.pump.now();
                shared.act(|state| state.session.handle_eof(now));
            }
            Ok(count) if count <= BUFFER => {
                self.input.received(count);
                return;
            }
            Ok(_) => self.fail(miscounted()),
            Err(error) => self.fail(error),
        }
        self.pump.done = true;
        // What the transport wrote without reporting it is not known.
        if let Some(buffer) = &mut self.input.buffer {
            buffer.note(BUFFER);
        }
    }

    fn fail(&self, error: io::Error) {
        // Also the error that the session has no use for is formatted and dropped without the lock.
        let error = TransportError::from(error);
        let shared = &self.pump.shared;
        shared.act(|state| state.session.handle_transport_error(error.clone()));
    }

    /// Gives the session what it has room for. Pending until it wants more, or until others have
    /// had their turn.
    fn deliver(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { pump, input } = self;
        let now = pump.now();
        let mut delivery = pump.shared.act(|state| input.deliver(state, now));
        if delivery == Delivery::Stalled {
            delivery = ready!(pump.shared.poll(cx, wants_input, |state, waker| {
                waker.place(&mut state.pumps.read);
            }));
            input.stalled = false;
        }
        self.delivered(cx, delivery)
    }

    /// As [`deliver`](Self::deliver) under a lock that others hold.
    pub(super) fn deliver_to(&mut self, state: &mut State, now: Duration) -> Delivery {
        self.input.deliver(state, now)
    }

    /// The session wanted no more input when last asked.
    pub(super) fn is_stalled(&self) -> bool {
        self.input.stalled
    }

    /// Takes note of it without the lock. Pending if nothing can be delivered now.
    pub(super) fn delivered(&mut self, cx: &Context<'_>, delivery: Delivery) -> Poll<()> {
        match delivery {
            Delivery::Taken => Poll::Ready(()),
            Delivery::Stalled => Poll::Pending,
            Delivery::MakeWay => {
                // At once, behind those whom the piece has woken. To wait for all others too, as
                // `yield_now` may, would leave both ends idle: with several threads that took half
                // of the rate of concurrent requests.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Delivery::Ended => {
                self.pump.done = true;
                Poll::Ready(())
            }
        }
    }

    /// The pump does nothing for a while.
    pub(super) fn rest(&mut self) {
        self.input.give_up_buffer();
    }
}

impl Input {
    /// Whether the session is to be asked before more is read.
    fn is_for_session(&self) -> bool {
        self.stalled || !self.unread.is_empty()
    }

    fn received(&mut self, count: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.note(count);
        }
        self.unread = 0..count;
        self.filled = count == BUFFER;
    }

    /// Gives the session a piece, of which it takes what it has room for.
    fn deliver(&mut self, state: &mut State, now: Duration) -> Delivery {
        let piece = self.pace.next(state.streams_woken);
        state.crowd = self.pace.crowd();
        let Some(piece) = piece else {
            return Delivery::MakeWay;
        };
        let bytes = self.buffer.as_ref().map_or(&[][..], ReadBuffer::bytes);
        let unread = &bytes[self.unread.clone()][..piece.min(self.unread.len())];
        state.reserve(unread.len());
        if !unread.is_empty() {
            // An error is the session's close reason, and all that follows is discarded.
            let taken = state.session.handle_input(now, unread);
            self.unread.start += taken.unwrap_or(unread.len());
        }
        let wanted = wants_input(state);
        self.stalled = wanted.is_pending();
        match wanted {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => Delivery::Stalled,
        }
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
}

/// Whether the session takes input: never [`Delivery::Stalled`], but pending.
fn wants_input(state: &mut State) -> Poll<Delivery> {
    if state.session.is_terminated() {
        return Poll::Ready(Delivery::Ended);
    }
    if !state.session.wants_input() {
        state.reserve(0);
    }
    if state.session.wants_input() {
        Poll::Ready(Delivery::Taken)
    } else {
        Poll::Pending
    }
}

impl fmt::Debug for ReadPump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPump").finish_non_exhaustive()
    }
}
