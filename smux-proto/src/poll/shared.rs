//! The state that handles and pumps share, and the one place that locks it and wakes.

use std::{
    mem::take,
    sync::PoisonError,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    state::State,
    sync::{Mutex, MutexGuard},
    transport::Clock,
    wakers::WakeList,
};
use crate::Session;

pub(super) struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

impl Shared {
    pub(super) fn new(session: Session, clock: Clock) -> Self {
        Self {
            state: Mutex::new(State::new(session)),
            clock,
        }
    }

    /// Call it without the lock: the clock is the embedder's and may have locks of its own.
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Tells the session the time, after a call that told none. It only counts, which concerns nobody.
    pub(super) fn note_time(&self) {
        let now = self.now();
        self.lock().session.note_time(now);
    }

    /// Locks, runs `act`, collects whom its effects concern, unlocks, wakes them.
    ///
    /// Wakers that `act` takes out of the state must leave it in its result, so that they are dropped without the lock.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.act_on_streams(|state| {
            state.deadline_moved = true;
            act(state)
        })
    }

    /// As [`act`](Self::act) for `act`s that only open, accept, use and close streams, which concerns nobody most of the time.
    ///
    /// They bring no deadline forward, but that of a peer's silence when they make room in a full receive buffer; then
    /// the read pump is woken, and looks at deadlines itself. The timer pump, whose concern they are, calls it too.
    pub(super) fn act_on_streams<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let paused = !state.session.wants_input();
        let result = act(&mut state);
        let goes_on = paused && state.session.wants_input();
        if state.has_wakeups() {
            self.wake(state);
        } else {
            drop(state);
        }
        if goes_on {
            // The pause counts up to here.
            self.note_time();
        }
        result
    }

    #[inline(never)]
    fn wake<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let mut wakes = WakeList::default();
        loop {
            let more = state.collect(&mut wakes);
            drop(state);
            wakes.wake_all();
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    /// As [`act`](Self::act) for `act`s that may have to wait: if pending, `place` stores the task's waker in the state.
    pub(super) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State) -> Poll<R>,
        place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    ) -> Poll<R> {
        let mut replaced = None;
        let poll = self.act(|state| or_wait(state, cx, act, place, &mut replaced));
        drop(replaced);
        poll
    }

    /// As [`poll`](Self::poll), for `act`s as of [`act_on_streams`](Self::act_on_streams).
    pub(super) fn poll_on_streams<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State) -> Poll<R>,
        place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    ) -> Poll<R> {
        let mut replaced = None;
        let poll = self.act_on_streams(|state| or_wait(state, cx, act, place, &mut replaced));
        drop(replaced);
        poll
    }

    /// The pumps need not be woken before they have placed their wakers again. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn take_pump_wakers(&self) -> impl Sized + use<> {
        take(&mut self.lock().pumps)
    }

    /// Reads a fact. Nothing may change, so nobody is woken.
    pub(super) fn view<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Code of others runs under the lock, and may panic there: a caller's buffer, the clone of a waker, a subscriber of `tracing`.
    /// The session goes on with what such a call left. After a buffer that is consistent: what it took is accounted for. After a
    /// subscriber, the call that it was told of may be half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker that the new one replaces is to be dropped without the lock.
fn or_wait<R>(
    state: &mut State,
    cx: &Context<'_>,
    act: impl FnOnce(&mut State) -> Poll<R>,
    place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    replaced: &mut Option<Waker>,
) -> Poll<R> {
    let poll = act(state);
    if poll.is_pending() {
        *replaced = place(state, cx.waker());
    }
    poll
}
