//! Wakes drivers, also those that the runtime would keep waiting.
//!
//! A runtime of several threads runs a task that another one wakes next on the same thread, once
//! that other one yields, and no other thread takes it over. That is the fastest way as long as
//! tasks yield soon. A task that reads from a stream and computes for milliseconds after each read
//! holds the driver up that long each time, and with it all other streams.
//!
//! So drivers measure how long they wait. What wakes one that was held up also spawns a task that
//! does nothing: that task is next on the thread then, and the driver lies where other threads look
//! for work. This costs some, so now and then it is tried without. It happens only in
//! tasks of the runtime, so also a handle that is dropped elsewhere spawns nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Wake, Waker},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task,
};

/// A driver that waits longer was held up. Chosen, not tuned: many times what most tasks take.
const HELD_UP: Duration = Duration::from_millis(1);

/// So many times a driver that was held up is moved before it is tried without. Chosen, not tuned.
const MOVES: u32 = 64;

/// The waker that a driver is polled with, once it has been polled.
#[derive(Default)]
pub(crate) struct DriverWakeup(Option<Kind>);

enum Kind {
    /// The runtime has one thread, which runs tasks in the order in which they were woken.
    InOrder(Waker),
    Measured(Arc<Wakeup>, Waker),
}

impl DriverWakeup {
    /// The waker to poll with. Call it whenever the driver runs.
    pub(crate) fn for_task(&mut self, task: &Waker) -> &Waker {
        if self.0.as_ref().is_some_and(|kind| !kind.wakes(task)) {
            self.0 = None;
        }
        match self.0.get_or_insert_with(|| Kind::of(task)) {
            Kind::InOrder(waker) => waker,
            Kind::Measured(wakeup, waker) => {
                wakeup.runs();
                waker
            }
        }
    }
}

impl Kind {
    fn of(task: &Waker) -> Self {
        let task = task.clone();
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread => {
                let wakeup = Arc::new(Wakeup {
                    task,
                    id: task::try_id(),
                    runtime,
                    epoch: Instant::now(),
                    woken: AtomicU64::new(0),
                    moves: AtomicU32::new(0),
                });
                Self::Measured(Arc::clone(&wakeup), Waker::from(wakeup))
            }
            _ => Self::InOrder(task),
        }
    }

    fn wakes(&self, task: &Waker) -> bool {
        match self {
            Self::InOrder(waker) => waker.will_wake(task),
            Self::Measured(wakeup, _) => wakeup.task.will_wake(task),
        }
    }
}

/// Wakes a driver that may be held up.
pub(crate) struct Wakeup {
    task: Waker,
    id: Option<task::Id>,
    runtime: Handle,
    epoch: Instant,
    /// When another task woke it, in nanoseconds since the epoch; 0 if it has run since.
    woken: AtomicU64,
    /// How often it is still to be moved.
    moves: AtomicU32,
}

impl Wakeup {
    /// The driver runs.
    fn runs(&self) {
        let woken = self.woken.swap(0, Relaxed);
        if woken > 0 && self.now().saturating_sub(woken) > nanos(HELD_UP) {
            self.moves.store(MOVES, Relaxed);
        }
    }

    fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }
}

/// Enough for five centuries.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Only other tasks keep the thread after this. The driver, which lets others run first,
        // waits because it wants to.
        let by = task::try_id();
        if by.is_none() || by == self.id {
            return self.task.wake_by_ref();
        }
        let moves = self.moves.load(Relaxed);
        if moves == 0 {
            self.woken.store(self.now(), Relaxed);
            self.task.wake_by_ref();
        } else {
            self.moves.store(moves - 1, Relaxed);
            self.task.wake_by_ref();
            drop(self.runtime.spawn(async {}));
        }
    }
}
