//! A budget for what any number of sessions hold together.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use super::{
    budget_queue::{BudgetQueue, Rules},
    sync::{Mutex, MutexGuard},
};

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
/// With [`Evict`](crate::SlowReaderPolicy::Evict) a slow stream ends once its session can reserve
/// no more. What it has unread counts until it is read or its stream is dropped; meanwhile the
/// other streams of the session get a frame at a time.
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
    queue: Mutex<BudgetQueue<Weak<dyn Sharer>>>,
}

/// A session as its budget sees it.
pub(super) trait Sharer: Send + Sync {
    /// There may be room for it.
    fn on_budget_freed(&self);
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
            queue: Mutex::new(BudgetQueue::new()),
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
        self.0.share_out(self.0.sessions.fetch_add(1, SeqCst) + 1);
    }

    /// A session that waits no more ends its part. Call it without a session's lock.
    pub(super) fn leave(&self, reserved: usize) {
        self.0.reserved.fetch_sub(reserved, SeqCst);
        self.0.share_out(self.0.sessions.fetch_sub(1, SeqCst) - 1);
        self.serve_waiting();
    }

    /// Returns the most that a session with this much may have now.
    pub(super) fn allowed(&self, reserved: usize) -> usize {
        self.0.rules().allowed(reserved, self.held())
    }

    /// Reserves more, up to `wanted` in all. Returns what the session has then.
    pub(super) fn reserve(&self, reserved: usize, wanted: usize) -> usize {
        let mut all = self.held();
        loop {
            let allowed = wanted.min(self.0.rules().allowed(reserved, all));
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

    /// Has a session served once it is allowed `goal`, whatever it waited for before, in the same
    /// place. Then try again: there may have been room meanwhile.
    pub(super) fn wait(
        &self,
        place: &mut Option<u64>,
        reserved: usize,
        goal: usize,
        session: &Weak<dyn Sharer>,
    ) {
        let session = Weak::clone(session);
        let rules = self.0.rules();
        self.0
            .act(|queue| queue.wait(place, reserved, goal, session, rules));
    }

    /// A session gives up its place, if it has one.
    pub(super) fn leave_queue(&self, place: Option<u64>) {
        if let Some(place) = place {
            self.0.act(|queue| queue.leave(place));
        }
    }

    /// Lets the waiting sessions that can go on do so, one after the other, so that each sees what
    /// those before it have left. Call it without a session's lock.
    pub(super) fn serve_waiting(&self) {
        let next = || {
            let rules = self.0.rules();
            self.0.act(|queue| queue.take_due(self.held(), rules))
        };
        while let Some(session) = next() {
            if let Some(session) = session.upgrade() {
                session.on_budget_freed();
            }
        }
    }
}

impl Pool {
    fn rules(&self) -> Rules {
        Rules {
            limit: self.limit,
            least: self.least.load(SeqCst),
        }
    }

    fn share_out(&self, sessions: usize) {
        self.least.store(self.limit / 4 / sessions.max(1), SeqCst);
        let rules = self.rules();
        self.act(|queue| queue.on_least_grown(rules));
    }

    /// No code of others runs under this lock, and no other lock is taken.
    fn act<R>(&self, act: impl FnOnce(&mut BudgetQueue<Weak<dyn Sharer>>) -> R) -> R {
        let mut queue = self.lock();
        let result = act(&mut queue);
        self.due_below.store(queue.due_below(), SeqCst);
        result
    }

    fn lock(&self) -> MutexGuard<'_, BudgetQueue<Weak<dyn Sharer>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
