//! The one thread that keeps time for all sessions of the process.
//!
//! It starts with the first session and ends with the last. It only tells them that their time
//! has come, which never blocks: transports, subscribers and whatever else is not of this crate run
//! on the threads of their session.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use crate::{start::start, wait::ignore_poison};

/// How many are told between two [pauses](PAUSE). Chosen, not tuned.
///
/// Sessions that were started at the same moment have the same deadlines. Told all at once, their
/// threads would keep all others from the processors; and what leaves at once is due at once again.
const CROWD: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);

/// What is told.
pub(crate) trait Timed: Send + Sync {
    /// A time has come that was [set](set). It must not block, nor call what may.
    fn tell(self: Arc<Self>);
}

static TIMER: Timer = Timer {
    queue: Mutex::new(Queue {
        due: BTreeMap::new(),
        seats: BTreeMap::new(),
        runs: false,
        sleeps_until: None,
    }),
    changed: Condvar::new(),
};

struct Timer {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    /// By time, and among those of the same time by the session's number.
    due: BTreeMap<(Instant, u64), Arc<dyn Timed>>,
    /// All sessions by their number, each with its time in `due`.
    seats: BTreeMap<u64, Option<Instant>>,
    /// Whether the thread exists.
    runs: bool,
    /// The thread looks again then; `None` while it does not sleep, or sleeps without a limit.
    sleeps_until: Option<Instant>,
}

/// A session's seat with the timer, without which no time can be [set](set).
pub(crate) struct Seat {
    id: u64,
}

impl Seat {
    /// Fails if there is no thread and none can be started.
    pub(crate) fn take(id: u64) -> io::Result<Self> {
        let mut queue = TIMER.lock();
        if !queue.runs {
            start("smux-timer", || TIMER.run())?;
            queue.runs = true;
        }
        queue.seats.insert(id, None);
        Ok(Self { id })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut queue = TIMER.lock();
        let time = queue.seats.remove(&self.id).flatten();
        let _gone = time.and_then(|at| queue.due.remove(&(at, self.id)));
        let is_last = queue.seats.is_empty();
        drop(queue);
        if is_last {
            TIMER.changed.notify_one();
        }
    }
}

/// Has the session with this number told at this time instead of any other. Without a [`Seat`] it
/// has no effect.
pub(crate) fn set(id: u64, session: &Arc<impl Timed + 'static>, at: Instant) {
    let session: Arc<dyn Timed> = Arc::clone(session) as _;
    let mut queue = TIMER.lock();
    let Some(seat) = queue.seats.get_mut(&id) else {
        return;
    };
    if let Some(before) = seat.replace(at) {
        queue.due.remove(&(before, id));
    }
    queue.due.insert((at, id), session);
    // A thread that wakes too early looks and sleeps again.
    let is_next = queue.sleeps_until.is_none_or(|until| at < until);
    drop(queue);
    if is_next {
        TIMER.changed.notify_one();
    }
}

impl Timer {
    fn run(&self) {
        let mut due = Vec::with_capacity(CROWD);
        let mut queue = self.lock();
        while !queue.seats.is_empty() {
            let now = Instant::now();
            queue.take_due(now, &mut due);
            let until = match due.len() {
                0 => queue.next_time(),
                CROWD => Some(now + PAUSE),
                _ => Some(now),
            };
            if !due.is_empty() {
                drop(queue);
                due.drain(..).for_each(Timed::tell);
                queue = self.lock();
            }
            queue = self.sleep(queue, until);
        }
        queue.runs = false;
    }

    /// Sleeps until then, or until a time before that is set.
    fn sleep<'a>(
        &self,
        mut queue: MutexGuard<'a, Queue>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Queue> {
        queue.sleeps_until = until;
        queue = match queue.sleeps_until {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                ignore_poison(self.changed.wait_timeout(queue, left)).0
            }
            None => ignore_poison(self.changed.wait(queue)),
        };
        queue.sleeps_until = None;
        queue
    }

    /// Nothing panics while it is locked.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        ignore_poison(self.queue.lock())
    }
}

impl Queue {
    /// Takes those whose time has come, a [`CROWD`] at most.
    fn take_due(&mut self, now: Instant, taken: &mut Vec<Arc<dyn Timed>>) {
        while taken.len() < CROWD
            && let Some(next) = self.due.first_entry()
            && next.key().0 <= now
        {
            let ((_, id), session) = next.remove_entry();
            self.seats.insert(id, None);
            taken.push(session);
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let (&(at, _), _) = self.due.first_key_value()?;
        Some(at)
    }
}
