//! Blocking scenarios in virtual time: threads that take turns, and a clock that moves when all of
//! them wait.
//!
//! Exactly one thread runs at a time, and threads change only where a call has to wait, in a fixed
//! order. So a scenario runs the same way each time, and one that waits for something that never
//! comes ends at once instead of hanging: no thread can go on, nothing moves, no timer is set.

mod background;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    fmt,
    future::poll_fn,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread::{self, Thread},
    time::Duration,
};

use self::{
    background::{Background, Woken},
    wire::VirtualWire,
};
use super::{
    memory::Memory,
    time::{Task, Time, Wire},
};

/// Steps without a completed call after which the parts count as busy for ever.
const MAX_STEPS: usize = 1_000_000;

/// No scenario waits this long.
const LONG: Duration = Duration::from_secs(600);

/// One end of a connection, which works beside the application.
pub trait Part: Send {
    /// Does what can be done at this time. False: nothing.
    fn step(&mut self, now: Duration) -> bool;

    /// When something is due although nothing else happens.
    fn next_timer(&self) -> Option<Duration>;

    /// Whether it is done for good.
    fn is_over(&self) -> bool;
}

/// The parts, the threads and the clock of one scenario. Clones are handles on the same time.
#[derive(Clone)]
pub struct VirtualTime {
    shared: Arc<Mutex<State>>,
}

struct State {
    now: Duration,
    parts: Vec<Arc<Mutex<dyn Part>>>,
    /// Threads in their order; one of them runs.
    threads: Vec<Thread>,
    running: usize,
    /// Failed attempts to go on in a row, during which nothing moved.
    idle: usize,
    /// Since a call came to its end.
    steps: usize,
    /// When a call came to its end.
    last_success: Duration,
    /// Times that threads wait for, and which threads.
    alarms: Vec<(Duration, Waker)>,
    /// A thread has panicked: the others end.
    failed: bool,
}

impl VirtualTime {
    /// Without parts, at time 0. The thread that makes it is the one that runs.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                now: Duration::ZERO,
                parts: Vec::new(),
                threads: vec![thread::current()],
                running: 0,
                idle: 0,
                steps: 0,
                last_success: Duration::ZERO,
                alarms: Vec::new(),
                failed: false,
            })),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// Adds a part.
    pub fn add(&self, part: Arc<Mutex<dyn Part>>) {
        self.lock().parts.push(part);
    }

    /// Tries until the attempt is ready. Meanwhile the parts work, the other threads run and time
    /// passes.
    ///
    /// # Panics
    ///
    /// If it can never be ready: all threads wait, nothing moves, and nothing is due.
    pub fn block<R>(&self, mut attempt: impl FnMut() -> Poll<R>) -> R {
        loop {
            if let Poll::Ready(result) = attempt() {
                let mut state = self.lock();
                state.idle = 0;
                state.steps = 0;
                state.last_success = state.now;
                return result;
            }
            // From then on threads do not take turns any more, and must not step at the same time.
            assert!(
                !self.lock().failed,
                "ended, since another thread of the scenario has failed"
            );
            let moved = self.step();
            let mut state = self.lock();
            state.idle = if moved { 0 } else { state.idle + 1 };
            if state.idle > state.threads.len() {
                state.pass_time();
            }
            self.give_turn(state);
        }
    }

    /// Waits for the future, which is polled only if it was woken: a wake-up that is missing makes
    /// the scenario fail.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        self.block(|| match woken.take() {
            true => future.as_mut().poll(&mut cx),
            false => Poll::Pending,
        })
    }

    /// Ready when this time has come; wakes the task then.
    pub fn poll_sleep(&self, cx: &Context<'_>, until: Duration) -> Poll<()> {
        let mut state = self.lock();
        if state.now >= until {
            return Poll::Ready(());
        }
        let is_set = |(at, waker): &(Duration, Waker)| *at == until && waker.will_wake(cx.waker());
        if !state.alarms.iter().any(is_set) {
            state.alarms.push((until, cx.waker().clone()));
        }
        Poll::Pending
    }

    /// Runs a future beside the scenario. It, too, is polled only if it was woken.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.add(Arc::new(Mutex::new(Background::new(future))));
    }

    fn run_child(&self, task: Task<'_>, running: &Mutex<usize>) -> Option<thread::Result<()>> {
        self.await_turn();
        let result = panic::catch_unwind(AssertUnwindSafe(task));
        // The panics of threads that end because another failed add nothing.
        let is_first = result.is_ok() || !self.lock().failed;
        if result.is_err() {
            self.fail();
        }
        *lock(running) -= 1;
        self.leave();
        is_first.then_some(result)
    }

    fn step(&self) -> bool {
        let (now, parts) = {
            let mut state = self.lock();
            state.parts.retain(|part| !lock(part).is_over());
            state.steps += 1;
            assert!(state.steps < MAX_STEPS, "the parts are busy for ever");
            (state.now, state.parts.clone())
        };
        let mut moved = false;
        for part in parts {
            moved |= lock(&part).step(now);
        }
        moved
    }

    /// Lets the next thread run, and returns when it is this one's turn again.
    fn give_turn(&self, mut state: MutexGuard<'_, State>) {
        state.running = (state.running + 1) % state.threads.len();
        let next = state.threads[state.running].clone();
        drop(state);
        if next.id() != thread::current().id() {
            next.unpark();
            self.await_turn();
        }
    }

    fn await_turn(&self) {
        let me = thread::current().id();
        loop {
            let state = self.lock();
            if state.failed || state.threads[state.running].id() == me {
                return;
            }
            drop(state);
            thread::park();
        }
    }

    fn leave(&self) {
        let me = thread::current().id();
        let mut state = self.lock();
        state.idle = 0;
        if let Some(place) = state.threads.iter().position(|thread| thread.id() == me) {
            state.threads.remove(place);
            if state.running > place {
                state.running -= 1;
            }
            state.running %= state.threads.len();
            state.threads[state.running].unpark();
        }
    }

    fn fail(&self) {
        let mut state = self.lock();
        state.failed = true;
        for thread in &state.threads {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

impl Time for VirtualTime {
    fn join(&self, tasks: Vec<Task<'_>>) {
        let running = Mutex::new(tasks.len());
        let result = thread::scope(|scope| {
            let started: Vec<_> = tasks
                .into_iter()
                .map(|task| {
                    let child = scope.spawn(|| self.run_child(task, &running));
                    self.lock().threads.push(child.thread().clone());
                    child
                })
                .collect();
            let all_ended = panic::catch_unwind(AssertUnwindSafe(|| {
                self.block(|| match *lock(&running) {
                    0 => Poll::Ready(()),
                    _ => Poll::Pending,
                });
            }));
            if all_ended.is_err() {
                self.fail();
            }
            let results: Vec<_> = started.into_iter().map(|child| child.join()).collect();
            let first = results
                .into_iter()
                .flatten()
                .flatten()
                .find_map(Result::err);
            first.map_or(all_ended, Err)
        });
        if let Err(payload) = result {
            panic::resume_unwind(payload);
        }
    }

    fn elapse(&self, time: Duration) {
        let end = self.now() + time;
        self.block_on(poll_fn(|cx| self.poll_sleep(cx, end)));
    }

    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool) {
        let waiting = panic::catch_unwind(AssertUnwindSafe(|| {
            self.block(|| match condition() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
        }));
        if let Err(payload) = waiting {
            eprintln!("waited in vain until {what}");
            panic::resume_unwind(payload);
        }
    }

    fn wire(&self, end: Memory) -> Box<dyn Wire> {
        Box::new(VirtualWire {
            end,
            time: self.clone(),
        })
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualTime").finish_non_exhaustive()
    }
}

impl Default for VirtualTime {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Goes on to the next time at which something is due.
    fn pass_time(&mut self) {
        let timers = self.parts.iter().filter_map(|part| lock(part).next_timer());
        let next = timers.chain(self.alarms.iter().map(|(at, _)| *at)).min();
        let next = next.expect("deadlock: a wake-up was lost, or all threads wait for each other");
        assert!(
            next - self.last_success < LONG,
            "all wait, and only timers go on"
        );
        self.now = self.now.max(next);
        let now = self.now;
        for (_, waker) in self.alarms.extract_if(.., |(at, _)| *at <= now) {
            waker.wake();
        }
        self.idle = 0;
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
