//! A session's part of a budget that it shares.

use std::sync::Weak;

use super::shared_budget::{SharedBudget, Sharer};
use crate::Session;

/// What a session has reserved of a [`SharedBudget`].
pub(super) struct Share {
    budget: SharedBudget,
    session: Weak<dyn Sharer>,
    reserved: usize,
    /// It is served once it is allowed this much, which was said with this much reserved.
    waits_for: Option<(usize, usize)>,
}

impl Share {
    pub(super) fn new(budget: &SharedBudget, session: Weak<dyn Sharer>) -> Self {
        budget.join();
        Self {
            budget: budget.clone(),
            session,
            reserved: 0,
            waits_for: None,
        }
    }

    /// Reserves room for what is held and so many bytes more, as far as there is any. If that lets
    /// no input in, or a stream has no window, the session is served when there is room.
    pub(super) fn reserve(&mut self, session: &mut Session, coming: usize) {
        self.adjust(session, coming);
        let step = self.budget.step();
        let goal = if !session.wants_input() {
            self.reserved.max(session.unread()) + step
        } else if session.starved_streams() > 0 {
            self.budget.allowed(self.reserved) + step
        } else {
            return;
        };
        let is_new = self.waits_for.is_none_or(|(before, reserved)| {
            goal + step <= before || reserved + step <= self.reserved
        });
        if is_new {
            self.waits_for = Some((goal, self.reserved));
            self.budget.wait(self.reserved, goal, &self.session);
            self.adjust(session, coming);
        }
    }

    fn adjust(&mut self, session: &mut Session, coming: usize) {
        let most = session.config().max_receive_buffer();
        let wanted = self.rounded(session.unread() + coming).min(most);
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
        self.waits_for = None;
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
        self.budget.leave(self.reserved);
    }
}
