//! Input without a transport: what was read is handed over.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
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
        while self.stalled || !bytes.is_empty() {
            if !ready!(self.deliver(cx, bytes)) {
                // At once, behind those whom the piece has woken. To wait for all others too, as
                // `yield_now` may, would leave both ends idle: with several threads that took half
                // of the rate of concurrent requests.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
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

    /// Gives the session what it has room for. Pending until it wants more; `false` if others
    /// should run first.
    fn deliver(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<bool> {
        let shared = &self.pump.shared;
        let now = self.pump.now();
        let pace = &mut self.pace;
        let mut consumed = 0;
        let wanted = shared.act(|state| {
            let piece = pace.next(state.streams_woken)?;
            let unread = &bytes[..piece.min(bytes.len())];
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
        *bytes = &bytes[consumed..];
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

    /// Whether it has ended, or what it brings is of no use.
    pub(super) const fn is_over(&self) -> bool {
        self.pump.done
    }

    /// Whether the session had no room when last asked.
    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }
}

/// Whether the session takes input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    More,
    /// Nothing that could be read is of use.
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

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}
