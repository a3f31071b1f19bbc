//! A budget for what any number of sessions hold together.

use std::{
    fmt,
    mem::take,
    ptr::addr_eq,
    sync::{
        Arc, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    vec::Vec,
};

use super::sync::{Mutex, MutexGuard};

/// A bound on the received bytes that sessions hold unread together. Clones are the same budget.
///
/// Each session still keeps to its own
/// [`max_receive_buffer`](crate::ConfigBuilder::max_receive_buffer). All together hold at most
/// [`limit`](Self::limit) bytes, and a frame (65 535 bytes) more for each session.
///
/// A session reserves what it holds, in steps of 1/256 of the limit and at most 64 KiB, and gives
/// it back as streams are read. It may reserve as much as is left of three quarters of the limit,
/// so that n sessions that want more than there is reach 3/4 of the limit ÷ (n + 1) each. The last
/// quarter is there in equal parts: a session can hold a quarter of `limit` ÷ `sessions` whatever
/// the others do.
///
/// The windows of version 2 follow what the session could reserve: they shrink as the budget fills,
/// before any session has to wait. A session that can reserve no more stops reading until its own
/// streams are read, or others give room back. One frame is taken in any case if a session holds
/// nothing, so that no session waits for others for ever.
///
/// ```
/// use smux_proto::{Config, Side, poll::{Clock, Pumps, SharedBudget}};
///
/// let budget = SharedBudget::new(64 << 20);
/// let (session, pumps) = Pumps::new(Side::Server, Config::v2(), Clock::new(Default::default));
/// let session = session.with_shared_budget(&budget);
/// assert_eq!((budget.sessions(), budget.held(), budget.limit()), (1, 0, 64 << 20));
/// drop((session, pumps));
/// assert_eq!(budget.sessions(), 0);
/// ```
#[derive(Clone)]
pub struct SharedBudget(Arc<Pool>);

pub(super) struct Pool {
    limit: usize,
    step: usize,
    /// What sessions have reserved: never more than the limit.
    reserved: AtomicUsize,
    sessions: AtomicUsize,
    /// What each session may reserve whatever the others have.
    least: AtomicUsize,
    /// Some waiting session can go on once less than this is reserved.
    due_below: AtomicUsize,
    waiting: Mutex<Vec<Waiting>>,
}

/// A session as its budget sees it.
pub(super) trait Sharer: Send + Sync {
    /// There may be room for it.
    fn on_budget_freed(&self);
}

/// A session that waits until it is allowed its goal.
struct Waiting {
    reserved: usize,
    goal: usize,
    session: Weak<dyn Sharer>,
}

impl SharedBudget {
    /// A budget of `limit` bytes, at least 1.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self(Arc::new(Pool {
            limit,
            step: (limit / 256).clamp(1, 64 << 10),
            reserved: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            least: AtomicUsize::new(limit / 4),
            due_below: AtomicUsize::new(0),
            waiting: Mutex::new(Vec::new()),
        }))
    }

    /// The bytes that all sessions together may hold.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The bytes that sessions have reserved for what they hold, in whole steps.
    pub fn held(&self) -> usize {
        self.0.reserved.load(SeqCst)
    }

    /// The sessions that share it, each until its last handle, stream and driver are gone.
    pub fn sessions(&self) -> usize {
        self.0.sessions.load(SeqCst)
    }

    pub(super) fn step(&self) -> usize {
        self.0.step
    }

    pub(super) fn join(&self) {
        let sessions = self.0.sessions.fetch_add(1, SeqCst) + 1;
        self.0.share_out(sessions);
    }

    /// A session ends its part. Call it without a session's lock.
    pub(super) fn leave(&self, reserved: usize) {
        self.0.reserved.fetch_sub(reserved, SeqCst);
        let sessions = self.0.sessions.fetch_sub(1, SeqCst) - 1;
        self.0.share_out(sessions);
        self.serve_waiting();
    }

    /// Returns the most that a session with this much may have now.
    pub(super) fn allowed(&self, reserved: usize) -> usize {
        self.0.allowed(reserved, self.held())
    }

    /// Reserves more, up to `wanted` in all. Returns what the session has then.
    pub(super) fn reserve(&self, reserved: usize, wanted: usize) -> usize {
        let mut all = self.held();
        loop {
            let allowed = wanted.min(self.0.allowed(reserved, all));
            if allowed <= reserved {
                return reserved;
            }
            let changed = all - reserved + allowed;
            match self
                .0
                .reserved
                .compare_exchange_weak(all, changed, SeqCst, SeqCst)
            {
                Ok(_) => return allowed,
                Err(now) => all = now,
            }
        }
    }

    /// Gives back so much. Returns whether a waiting session can go on.
    pub(super) fn release(&self, bytes: usize) -> bool {
        let left = self.0.reserved.fetch_sub(bytes, SeqCst) - bytes;
        left < self.0.due_below.load(SeqCst)
    }

    /// Has a session served once it is allowed `goal`, whatever it waited for before. Then try
    /// again: there may have been room meanwhile.
    pub(super) fn wait(&self, reserved: usize, goal: usize, session: &Weak<dyn Sharer>) {
        let waiting = Waiting {
            reserved,
            goal,
            session: Weak::clone(session),
        };
        let mut queue = self.0.waiting();
        queue.retain(|other| !addr_eq(other.session.as_ptr(), session.as_ptr()));
        let due_below = self.0.due_below(&waiting);
        self.0.due_below.fetch_max(due_below, SeqCst);
        queue.push(waiting);
    }

    /// Lets the waiting sessions that can go on do so. Call it without a session's lock.
    pub(super) fn serve_waiting(&self) {
        for session in self.0.take_due() {
            if let Some(session) = session.upgrade() {
                session.on_budget_freed();
            }
        }
    }
}

impl Pool {
    /// What may be lent beyond the least of each session.
    fn lendable(&self) -> usize {
        self.limit - self.limit / 4
    }

    fn share_out(&self, sessions: usize) {
        self.least.store(self.limit / 4 / sessions.max(1), SeqCst);
    }

    fn allowed(&self, reserved: usize, all: usize) -> usize {
        let others = all.saturating_sub(reserved);
        let lent = self.lendable().saturating_sub(others) / 2;
        let least = self.least.load(SeqCst).min(self.limit - others);
        lent.max(least)
    }

    /// Returns the sum of reservations below which the session is allowed its goal; 0 if none is.
    fn due_below(&self, waiting: &Waiting) -> usize {
        let &Waiting { reserved, goal, .. } = waiting;
        let others = match goal <= self.least.load(SeqCst) {
            true => self.limit.checked_sub(goal),
            false => self.lendable().checked_sub(2 * goal),
        };
        others.map_or(0, |others| others + reserved + 1)
    }

    /// Takes the waiting sessions that are allowed their goal, or are gone.
    fn take_due(&self) -> Vec<Weak<dyn Sharer>> {
        let mut due = Vec::new();
        let mut queue = self.waiting();
        let all = self.reserved.load(SeqCst);
        for waiting in take(&mut *queue) {
            let is_gone = waiting.session.strong_count() == 0;
            if is_gone || self.allowed(waiting.reserved, all) >= waiting.goal {
                due.push(waiting.session);
            } else {
                queue.push(waiting);
            }
        }
        let due_below = queue.iter().map(|waiting| self.due_below(waiting)).max();
        self.due_below.store(due_below.unwrap_or(0), SeqCst);
        due
    }

    /// No code of others runs under this lock, and no other lock is taken.
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBudget")
            .field("limit", &self.limit())
            .field("held", &self.held())
            .field("sessions", &self.sessions())
            .finish()
    }
}
