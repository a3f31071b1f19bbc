//! A session's part of a budget that it shares.

use std::sync::Weak;

use super::shared_budget::{SharedBudget, Sharer};
use crate::Session;

/// What a session has reserved of a [`SharedBudget`].
pub(super) struct Share {
    budget: SharedBudget,
    session: Weak<dyn Sharer>,
    reserved: usize,
    waits: Option<Wait>,
    /// Its place in the budget's queue, while it is not served.
    place: Option<u64>,
}

/// It is served once it is allowed this much, which was said with this much reserved.
#[derive(Clone, Copy)]
struct Wait {
    goal: usize,
    reserved: usize,
}

impl Share {
    pub(super) fn new(budget: &SharedBudget, session: Weak<dyn Sharer>) -> Self {
        budget.join();
        Self {
            budget: budget.clone(),
            session,
            reserved: 0,
            waits: None,
            place: None,
        }
    }

    /// Reserves room for what is held and so many bytes more, as far as there is any. If that lets
    /// no input in, or a stream has no window, the session is served when there is room.
    pub(super) fn reserve(&mut self, session: &mut Session, coming: usize) {
        loop {
            self.adjust(session, coming);
            let allowed = self.budget.allowed(self.reserved);
            let Some(goal) = self.goal(session, allowed) else {
                return;
            };
            if goal > allowed {
                if !self.is_news(goal) {
                    return;
                }
                self.waits = Some(Wait {
                    goal,
                    reserved: self.reserved,
                });
                let Self {
                    budget, session, ..
                } = self;
                budget.wait(&mut self.place, self.reserved, goal, session);
                if budget.allowed(self.reserved) < goal {
                    return;
                }
            }
            // There is room since it was reserved.
        }
    }

    /// Returns what it needs in all to go on, if it waits for its budget.
    fn goal(&self, session: &Session, allowed: usize) -> Option<usize> {
        let step = self.budget.step();
        if !session.wants_input() {
            // With all that it wants it waits for its own readers, or for its transport.
            let is_short = self.reserved < self.wanted(session, 0);
            is_short.then(|| self.reserved.max(session.unread()) + step)
        } else if session.starved_streams() > 0 {
            Some(allowed + step)
        } else {
            None
        }
    }

    /// Whether it would be served much later than it should if it still waited for what it said.
    fn is_news(&self, goal: usize) -> bool {
        let step = self.budget.step();
        self.waits.is_none_or(|before| {
            goal + step <= before.goal || before.reserved + step <= self.reserved
        })
    }

    /// Returns what it reserves if it can, for what is held and so many bytes more.
    fn wanted(&self, session: &Session, coming: usize) -> usize {
        let most = session.config().max_receive_buffer();
        self.rounded(session.unread() + coming).min(most)
    }

    fn adjust(&mut self, session: &mut Session, coming: usize) {
        let wanted = self.wanted(session, coming);
        if wanted > self.reserved {
            self.reserved = self.budget.reserve(self.reserved, wanted);
        }
        self.limit(session);
    }

    /// What windows allow is not reserved before it has arrived.
    fn limit(&self, session: &mut Session) {
        let windows = self.budget.allowed(self.reserved).max(self.reserved);
        session.set_receive_limits(self.reserved, windows);
    }

    /// Returns what is reserved for so many bytes: more than that, so that input can go on.
    fn rounded(&self, bytes: usize) -> usize {
        match bytes {
            0 => 0,
            _ => (bytes + 1).next_multiple_of(self.budget.step()),
        }
    }

    /// Goes on after a wait.
    pub(super) fn on_freed(&mut self, session: &mut Session) {
        self.waits = None;
        // It may have waited again since it was taken from the queue.
        self.budget.leave_queue(self.place.take());
        self.reserve(session, 0);
    }

    /// Gives back what is reserved without need: all of it once nothing is held. Returns the budget
    /// if a waiting session can go on.
    pub(super) fn give_back(&mut self, session: &mut Session) -> Option<SharedBudget> {
        let held = session.unread();
        let kept = match held {
            0 => 0,
            _ => self.rounded(held) + 2 * self.budget.step(),
        };
        let mut is_due = false;
        if self.reserved > kept {
            let surplus = self.reserved - self.rounded(held);
            self.reserved -= surplus;
            is_due = self.budget.release(surplus);
            self.limit(session);
        } else if held < self.reserved && !session.wants_input() {
            // What evicted streams held is read, which the session does not count as room.
            self.limit(session);
        }
        if session.starved_streams() > 0 {
            self.reserve(session, 0);
        }
        is_due.then(|| self.budget.clone())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.leave_queue(self.place);
        self.budget.leave(self.reserved);
    }
}
