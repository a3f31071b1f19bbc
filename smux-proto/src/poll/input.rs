//! Input without a transport: what was read is handed over.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{pacing::Pace, pump::Pump, state::State};
use crate::TransportError;

/// Hands a session what was read from its transport, by any means: the lower half of a
/// [`ReadPump`](super::ReadPump).
///
/// In turns, [`poll_deliver`](Self::poll_deliver) until it is ready, then one read. The read's
/// outcome is delivered, or it is the [end](Self::end) or a [failure](Self::fail) of the input,
/// after which there is nothing to read any more.
///
/// A read in flight must not be given up while the session lives: what it would have read is
/// missing then.
pub struct Input {
    pub(super) pump: Pump,
    /// The session wanted no more input when last asked.
    stalled: bool,
    pace: Pace,
}

impl Input {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            stalled: false,
            pace: Pace::new(),
        }
    }

    /// Hands over `bytes`, and moves their beginning behind what the session has taken. Ready once
    /// it has taken all: true if it wants more, which is to be read then; false if it has ended,
    /// and nothing that could be read is of use.
    ///
    /// Pending while the session has no room, with the rest in `bytes`; also now and then, to let
    /// other tasks run, and then it wakes its own task.
    pub fn poll_deliver(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<bool> {
        while !self.pump.done && self.is_for_session(bytes) {
            ready!(self.deliver(cx, bytes));
        }
        Poll::Ready(!self.pump.done)
    }

    /// The input has ended: a read gave 0 bytes.
    pub fn end(&mut self) {
        let now = self.pump.now();
        self.pump.done = true;
        self.pump.shared.act(|state| state.session.handle_eof(now));
    }

    /// A read has failed.
    pub fn fail(&mut self, error: io::Error) {
        self.pump.done = true;
        // Also the error that the session has no use for is formatted and dropped without the lock.
        let error = TransportError::from(error);
        let now = self.pump.now();
        self.pump.shared.act(|state| {
            state.session.advance_time(now);
            state.session.handle_transport_error(error.clone());
        });
    }

    /// Gives the session what it has room for. Pending until it wants more, or until others have
    /// had their turn.
    fn deliver(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<()> {
        let Self {
            pump,
            stalled,
            pace,
        } = self;
        let now = pump.now();
        let mut delivery = pump
            .shared
            .act(|state| deliver_piece(pace, stalled, state, now, bytes));
        if delivery == Delivery::Stalled {
            delivery = ready!(pump.shared.poll(cx, wants_input, |state, waker| {
                waker.place(&mut state.pumps.read);
            }));
            *stalled = false;
        }
        self.delivered(cx, delivery)
    }

    /// As [`poll_deliver`](Self::poll_deliver) for one piece, under a lock that others hold.
    pub(super) fn deliver_to(
        &mut self,
        state: &mut State,
        now: Duration,
        bytes: &mut &[u8],
    ) -> Delivery {
        deliver_piece(&mut self.pace, &mut self.stalled, state, now, bytes)
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

    /// Whether the session is to be asked before more is read.
    pub(super) const fn is_for_session(&self, unread: &[u8]) -> bool {
        self.stalled || !unread.is_empty()
    }

    /// Whether it has ended, or what it brings is of no use.
    pub(super) const fn is_over(&self) -> bool {
        self.pump.done
    }

    /// Whether the session had no room when last asked.
    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }
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
    /// Nothing that could be read is of use.
    Ended,
}

/// Gives the session a piece, of which it takes what it has room for.
fn deliver_piece(
    pace: &mut Pace,
    stalled: &mut bool,
    state: &mut State,
    now: Duration,
    bytes: &mut &[u8],
) -> Delivery {
    let piece = pace.next(state.streams_woken);
    state.crowd = pace.crowd();
    let Some(piece) = piece else {
        return Delivery::MakeWay;
    };
    let unread = &bytes[..piece.min(bytes.len())];
    state.reserve(unread.len());
    if !unread.is_empty() {
        // An error is the session's close reason, and all that follows is discarded.
        let taken = state.session.handle_input(now, unread);
        *bytes = &bytes[taken.unwrap_or(unread.len())..];
    }
    let wanted = wants_input(state);
    *stalled = wanted.is_pending();
    match wanted {
        Poll::Ready(delivery) => delivery,
        Poll::Pending => Delivery::Stalled,
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

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}
