//! Deadlines, and the end.

use std::{
    fmt,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{pacing::ROUNDS, pump::Pump, state::State, wakers::Spare};
use crate::CloseReason;

/// Keeps the session's deadlines.
pub struct TimerPump {
    pub(super) pump: Pump,
    /// The sleep under way. Deadlines move later with every batch: the sleep is then left to run
    /// out, which is cheaper than setting it each time.
    sleeping_until: Option<Duration>,
}

impl TimerPump {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            sleeping_until: None,
        }
    }

    /// Resolves with the reason when the session has ended and the transport is to be dropped.
    /// Pending until then; `sleep` is as [`Transport::poll_sleep`](super::Transport::poll_sleep).
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut sleep: impl FnMut(&mut Context<'_>, Duration) -> Poll<()>,
    ) -> Poll<CloseReason> {
        for _ in 0..ROUNDS {
            match self.next(cx) {
                Deadline::At(until) => {
                    ready!(sleep(cx, until));
                    self.sleeping_until = None;
                    // It may be later than when the poll began.
                    self.pump.time = None;
                }
                Deadline::Never => return Poll::Pending,
                Deadline::Ended => return Poll::Ready(self.end()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles a deadline that has passed, and tells the next one. The clock decides what has
    /// passed, not the sleep: a runtime may report late that a sleep has ended.
    fn next(&mut self, cx: &Context<'_>) -> Deadline {
        let now = self.pump.now();
        let mut spare = Spare::of(cx.waker());
        loop {
            let sleeping_until = &mut self.sleeping_until;
            let (deadline, gone) = self.pump.shared.act_on_streams(|state| {
                let deadline = next_deadline(state, now, sleeping_until);
                if deadline == Deadline::Ended {
                    return (deadline, state.pumps.timer.take());
                }
                spare.place(&mut state.pumps.timer);
                (deadline, None)
            });
            drop(gone);
            if deadline == Deadline::Ended || !spare.refill() {
                return deadline;
            }
        }
    }
}

/// For a driver, under a lock that it holds.
impl TimerPump {
    /// As [`next`](Self::next).
    pub(super) fn next_of(&mut self, state: &mut State, now: Duration) -> Deadline {
        next_deadline(state, now, &mut self.sleeping_until)
    }

    /// As [`next_of`](Self::next_of) if nothing is to be handled first.
    pub(super) fn upcoming(&mut self, state: &mut State, now: Duration) -> Option<Deadline> {
        let deadline = state.session.poll_timeout();
        let is_due = deadline.is_some_and(|due| due <= now);
        (!is_due).then(|| arm(state, deadline, now, &mut self.sleeping_until))
    }

    /// The session has ended, for the reason that it returns.
    pub(super) fn end(&mut self) -> CloseReason {
        self.pump.done = true;
        self.pump.shared.view(State::reason)
    }

    /// Sleeps until then. Ready if it is time to look again.
    pub(super) fn sleep(&mut self, slept: Poll<()>) -> Poll<()> {
        ready!(slept);
        self.sleeping_until = None;
        Poll::Ready(())
    }
}

fn next_deadline(
    state: &mut State,
    now: Duration,
    sleeping_until: &mut Option<Duration>,
) -> Deadline {
    let deadline = handle_due(state, now);
    arm(state, deadline, now, sleeping_until)
}

/// Handles a deadline that has passed, and returns the next one.
pub(super) fn handle_due(state: &mut State, now: Duration) -> Option<Duration> {
    let deadline = state.session.poll_timeout();
    if deadline.is_none_or(|due| due > now) {
        return deadline;
    }
    state.session.handle_timeout(now);
    // Windows of an idle session, too, follow what others leave of a shared budget.
    state.reserve(0);
    state.session.poll_timeout()
}

fn arm(
    state: &mut State,
    deadline: Option<Duration>,
    now: Duration,
    sleeping_until: &mut Option<Duration>,
) -> Deadline {
    if state.session.is_terminated() {
        return Deadline::Ended;
    }
    let sleep = sleeping_until.filter(|until| *until > now);
    state.pumps.armed = deadline.map(|at| sleep.map_or(at, |until| until.min(at)));
    *sleeping_until = state.pumps.armed;
    state.deadline_moved = false;
    state.pumps.armed.map_or(Deadline::Never, Deadline::At)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// Look again at this time, if nothing wakes the pump before.
    At(Duration),
    Never,
    Ended,
}

impl fmt::Debug for TimerPump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerPump").finish_non_exhaustive()
    }
}
