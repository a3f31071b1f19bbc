//! The state that handles and pumps share, and the one place that locks it and wakes.

use std::{
    fmt,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    shared_budget::Sharer,
    state::State,
    sync::{Mutex, MutexGuard},
    transport::Clock,
    wakers::{Aftermath, Spare},
};
use crate::{Session, trace::StallWatch};

pub(super) struct Shared {
    id: SessionId,
    state: Mutex<State>,
    clock: Clock,
}

/// The number of a session, which no other session of this process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Relaxed) + 1)
    }

    /// The number, from 1 on.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Shared {
    pub(super) fn new(mut session: Session, clock: Clock) -> Self {
        let id = SessionId::next();
        session.trace().id(id.get());
        Self {
            id,
            state: Mutex::new(State::new(session)),
            clock,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// Its use is as [`now`](Self::now)'s.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Call it without the lock: the clock is the embedder's and may have locks of its own.
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Tells the session the time, after a call that told none. It only counts, which wakes no
    /// task.
    pub(super) fn advance_time(&self) {
        let now = self.now();
        if StallWatch::IS_ON {
            // What waits from here on may bring the next look at stalls forward.
            self.act(|state| state.session.advance_time(now));
        } else {
            self.lock().session.advance_time(now);
        }
    }

    /// Locks, runs `act`, collects what its effects leave to do, unlocks, does that.
    ///
    /// Whatever `act` takes out of the state it must leave in its result, to be dropped without the
    /// lock.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.act_on_streams(|state| {
            state.deadline_moved = true;
            act(state)
        })
    }

    /// As [`act`](Self::act) for `act`s that only open, accept, use and close streams, which wake
    /// no task most of the time.
    ///
    /// They bring no deadline forward, but that of a peer's silence when they make room in a full
    /// receive buffer; then the read pump is woken, and looks at deadlines itself. The timer pump,
    /// whose concern they are, calls it too.
    pub(super) fn act_on_streams<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let paused = !state.session.wants_input();
        let result = act(&mut state);
        self.finish(state, paused);
        result
    }

    /// Does what an act has left to do. `paused`: the session wanted no input before.
    #[inline]
    fn finish(&self, mut state: MutexGuard<'_, State>, paused: bool) {
        let freed = state.give_back();
        let goes_on = paused && state.session.wants_input();
        if state.has_aftermath() {
            self.settle(state);
        } else {
            drop(state);
        }
        if goes_on {
            // The pause counts up to here.
            self.advance_time();
        }
        if let Some(budget) = freed {
            budget.serve_waiting();
        }
    }

    /// Locks and runs `act`, which queues output and changes nothing else if it is ready: only the
    /// pump for output may have to be woken then, which is cheaper to find out than all of the
    /// aftermath. If it is pending, call [`poll_with`](Self::poll_with) at once.
    pub(super) fn queue_output<R>(&self, act: impl FnOnce(&mut State) -> Poll<R>) -> Poll<R> {
        let mut state = self.lock();
        let poll = act(&mut state);
        if poll.is_ready()
            && state.awaits_output()
            && let Some(pump) = state.call_for_output()
        {
            drop(state);
            pump.wake();
        }
        poll
    }

    /// Locks and runs `note`, which tells what is written. If it finds anything else to do, the
    /// driver goes on with a round.
    pub(super) fn note_written<R>(&self, note: impl FnOnce(&mut State) -> R) -> R {
        note(&mut self.lock())
    }

    #[inline(never)]
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let mut aftermath = Aftermath::default();
        loop {
            let more = state.collect(&mut aftermath);
            drop(state);
            aftermath.run();
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    /// As [`act`](Self::act) for `act`s that may have to wait: if pending, `place` puts the task's
    /// waker into the state.
    ///
    /// Both may run twice: a waker is cloned without the lock, after the first time.
    pub(super) fn poll<R>(
        &self,
        cx: &Context<'_>,
        mut act: impl FnMut(&mut State) -> Poll<R>,
        place: impl FnMut(&mut State, &mut Spare<'_>),
    ) -> Poll<R> {
        let act = |state: &mut State| {
            state.deadline_moved = true;
            act(state)
        };
        self.poll_on_streams(cx, act, place)
    }

    /// As [`poll`](Self::poll), for `act`s as of [`act_on_streams`](Self::act_on_streams).
    pub(super) fn poll_on_streams<R>(
        &self,
        cx: &Context<'_>,
        act: impl FnMut(&mut State) -> Poll<R>,
        place: impl FnMut(&mut State, &mut Spare<'_>),
    ) -> Poll<R> {
        self.poll_with(Spare::of(cx.waker()), act, place)
    }

    /// As [`poll_on_streams`](Self::poll_on_streams), with what the caller has made ready.
    pub(super) fn poll_with<R>(
        &self,
        mut spare: Spare<'_>,
        mut act: impl FnMut(&mut State) -> Poll<R>,
        mut place: impl FnMut(&mut State, &mut Spare<'_>),
    ) -> Poll<R> {
        loop {
            let poll = self.act_on_streams(|state| {
                let poll = act(state);
                if poll.is_pending() {
                    place(state, &mut spare);
                }
                poll
            });
            if poll.is_ready() || !spare.refill() {
                return poll;
            }
        }
    }

    /// As [`poll_with`](Self::poll_with), for `act`s that change nothing if they are pending, as
    /// reads. Every other read waits, and then leaves nothing to do.
    // Inlined: to hand over what it is called with would take a fifth of a small read.
    #[inline(always)]
    pub(super) fn poll_read<R>(
        &self,
        spare: &mut Spare<'_>,
        mut act: impl FnMut(&mut State) -> Poll<R>,
        mut place: impl FnMut(&mut State, &mut Spare<'_>),
    ) -> Poll<R> {
        loop {
            let mut state = self.lock();
            let paused = !state.session.wants_input();
            let poll = act(&mut state);
            if poll.is_ready() {
                self.finish(state, paused);
                return poll;
            }
            place(&mut state, spare);
            drop(state);
            if !spare.refill() {
                return poll;
            }
        }
    }

    /// Reads a fact. Nothing may change, so no task is woken.
    pub(super) fn view<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// No code of others runs under the lock, so only a mistake in here could poison it.
    fn lock(&self) -> MutexGuard<'_, State> {
        #[cfg(test)]
        super::sync::count_lock();
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sharer for Shared {
    fn on_budget_freed(&self) {
        self.act(State::on_budget_freed);
    }
}
