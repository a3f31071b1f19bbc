//! How a thread waits for what the poll layer makes a task wait for.

use std::{
    cell::Cell,
    error::Error,
    fmt, io,
    pin::pin,
    ptr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

/// The error of a call that took longer than its timeout, inside an [`io::Error`] of kind
/// [`io::ErrorKind::TimedOut`].
///
/// A session whose peer fell silent ends with an error of the same kind. This distinguishes them:
///
/// ```
/// use std::io;
///
/// fn may_try_again(error: &io::Error) -> bool {
///     error.get_ref().is_some_and(|inner| inner.is::<smux_blocking::TimeoutElapsed>())
/// }
/// # assert!(!may_try_again(&io::ErrorKind::TimedOut.into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutElapsed;

impl fmt::Display for TimeoutElapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call took longer than its timeout")
    }
}

impl Error for TimeoutElapsed {}

impl From<TimeoutElapsed> for io::Error {
    fn from(elapsed: TimeoutElapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// One kind of thing to wait for, by any number of threads.
///
/// The poll layer keeps one waker per stream and thing to wait for. All threads that wait here
/// register the same one, so none takes another's place: it wakes them all, and those that find
/// nothing wait again.
pub(crate) struct Waiter {
    signal: Arc<Signal>,
    /// Made of `signal`, once.
    waker: Waker,
}

impl Waiter {
    pub(crate) fn new() -> Self {
        let signal = Arc::new(Signal::default());
        Self {
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        }
    }

    /// Wakes all waiting threads to look again.
    pub(crate) fn wake(&self) {
        self.signal.raise();
    }

    /// Wakes as [`wake`](Self::wake).
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Runs `act`. If that wakes this by its [waker](Self::waker), on this thread, it is held back,
    /// and `true`.
    pub(crate) fn hold_back<R>(&self, act: impl FnOnce() -> R) -> (R, bool) {
        let mut held = Held::back(&self.signal);
        let result = act();
        (result, held.take())
    }

    /// Polls until it is ready.
    pub(crate) fn block_on<R>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
        loop {
            if let Some(result) = self.block_until(&mut poll, || None) {
                return result;
            }
        }
    }

    /// Waits for `future`.
    pub(crate) fn block_on_future<R>(&self, future: impl Future<Output = R>) -> R {
        let mut future = pin!(future);
        self.block_on(|cx| future.as_mut().poll(cx))
    }

    /// Polls until it is ready, or else until the deadline, which is asked for anew before each
    /// wait.
    pub(crate) fn block_until<R>(
        &self,
        poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
        deadline: impl FnMut() -> Option<Instant>,
    ) -> Option<R> {
        self.block_after(poll, deadline, |_| {})
    }

    /// As [`block_until`](Self::block_until); before each wait it runs `act`, which may take its
    /// time until it [is to end](Wait::is_over). What that returns is dropped after the wait.
    fn block_after<R, W>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
        mut deadline: impl FnMut() -> Option<Instant>,
        mut act: impl FnMut(&Wait<'_>) -> W,
    ) -> Option<R> {
        let mut cx = Context::from_waker(&self.waker);
        loop {
            // Noted before the poll: what is raised during it ends the wait at once.
            let seen = self.signal.raised();
            if let Poll::Ready(result) = poll(&mut cx) {
                return Some(result);
            }
            let deadline = deadline();
            let _during = act(&Wait {
                signal: &self.signal,
                seen,
                deadline,
            });
            if !self.signal.wait(seen, deadline) {
                return None;
            }
        }
    }
}

/// A wait that is about to begin.
pub(crate) struct Wait<'a> {
    signal: &'a Signal,
    seen: u64,
    deadline: Option<Instant>,
}

impl Wait<'_> {
    /// Whether there is something to look at, or less than this time left.
    pub(crate) fn is_over(&self, least: Duration) -> bool {
        self.signal.raised() != self.seen
            || self
                .deadline
                .is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) < least)
    }
}

/// A waker for threads.
#[derive(Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How often it was raised. It would take centuries to wrap.
    raised: u64,
    waiting: usize,
}

impl Signal {
    fn raised(&self) -> u64 {
        self.lock().raised
    }

    fn raise(&self) {
        let mut state = self.lock();
        state.raised += 1;
        let has_waiters = state.waiting > 0;
        drop(state);
        // Each notification is a system call.
        if has_waiters {
            self.changed.notify_all();
        }
    }

    /// Waits until it was raised more often than `seen`. `false`: the deadline came first.
    fn wait(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        while state.raised == seen {
            let Some(deadline) = deadline else {
                state = ignore_poison(self.changed.wait(state));
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = ignore_poison(self.changed.wait_timeout(state, left));
        }
        state.waiting -= 1;
        state.raised != seen
    }

    /// Nothing panics while it is locked.
    fn lock(&self) -> MutexGuard<'_, State> {
        ignore_poison(self.state.lock())
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !Held::notes(self) {
            self.raise();
        }
    }
}

thread_local! {
    /// The signal that this thread holds back, by its address, and whether it is due.
    static HELD: Cell<(*const Signal, bool)> = const { Cell::new((ptr::null(), false)) };
}

/// A signal that is held back on this thread. Dropped, it is raised if it is due.
struct Held<'a> {
    signal: &'a Signal,
    before: Option<(*const Signal, bool)>,
}

impl<'a> Held<'a> {
    fn back(signal: &'a Signal) -> Self {
        let before = HELD.try_with(|held| held.replace((signal, false))).ok();
        Self { signal, before }
    }

    /// Whether the signal is held back.
    fn notes(signal: &Signal) -> bool {
        let notes = |held: &Cell<(*const Signal, bool)>| {
            let is_held = ptr::eq(held.get().0, signal);
            if is_held {
                held.set((signal, true));
            }
            is_held
        };
        HELD.try_with(notes).unwrap_or(false)
    }

    /// Ends it. `true`: the signal is due.
    fn take(&mut self) -> bool {
        let Some(before) = self.before.take() else {
            return false;
        };
        HELD.try_with(|held| held.replace(before).1)
            .unwrap_or(false)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Only if what was run has panicked.
        if self.take() {
            self.signal.raise();
        }
    }
}

pub(crate) fn ignore_poison<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// A [`Waiter`] with a timeout that can be changed while threads wait.
pub(crate) struct TimedWaiter {
    waiter: Waiter,
    timeout: Mutex<Timeout>,
}

#[derive(Clone, Copy, Default)]
struct Timeout {
    limit: Option<Duration>,
    /// It counts from the beginning of a call, or from here if that is later.
    set_at: Option<Instant>,
}

impl TimedWaiter {
    pub(crate) fn new() -> Self {
        Self {
            waiter: Waiter::new(),
            timeout: Mutex::default(),
        }
    }

    /// Wakes all waiting threads to look again.
    pub(crate) fn wake(&self) {
        self.waiter.wake();
    }

    /// Fails if the limit is zero, as the timeouts of [`std::net::TcpStream`] do.
    pub(crate) fn set_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        if limit.is_some_and(|limit| limit.is_zero()) {
            let text = "the timeout must be more than 0; None means no timeout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let set_at = Some(Instant::now());
        *ignore_poison(self.timeout.lock()) = Timeout { limit, set_at };
        self.wake();
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        ignore_poison(self.timeout.lock()).limit
    }

    /// Polls until it is ready or the timeout is over. What is ready comes first: a timeout never
    /// hides it.
    pub(crate) fn block_on<R, E: Into<io::Error>>(
        &self,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, E>>,
    ) -> io::Result<R> {
        self.block_after(poll, |_| {})
    }

    /// As [`block_on`](Self::block_on); before each wait it runs `act`, which may take its time
    /// until it [is to end](Wait::is_over). What that returns is dropped after the wait.
    pub(crate) fn block_after<R, E: Into<io::Error>, W>(
        &self,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, E>>,
        act: impl FnMut(&Wait<'_>) -> W,
    ) -> io::Result<R> {
        // Most calls need not wait: they do not ask for the time.
        let mut began = None;
        let deadline = || {
            let began = *began.get_or_insert_with(Instant::now);
            let Timeout { limit, set_at } = *ignore_poison(self.timeout.lock());
            Some(began).max(set_at)?.checked_add(limit?)
        };
        match self.waiter.block_after(poll, deadline, act) {
            Some(result) => result.map_err(E::into),
            None => Err(TimeoutElapsed.into()),
        }
    }

    /// Waits for `future`, until the timeout is over.
    pub(crate) fn block_on_future<R, E: Into<io::Error>>(
        &self,
        future: impl Future<Output = Result<R, E>>,
    ) -> io::Result<R> {
        let mut future = pin!(future);
        self.block_on(|cx| future.as_mut().poll(cx))
    }
}
