//! The deadlines and the end of one session, and which thread sees to them.
//!
//! That is the session's writer, which waits for output most of the time. While it is away, in the
//! transport, which may block, a thread that is started for it takes its place.

use std::{
    io,
    net::Shutdown,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use smux_proto::poll::{SessionId, TimerPump};

use crate::{
    start::start,
    timer::{self, Seat, Timed},
    transport::ShutdownFn,
    wait::{Waiter, ignore_poison},
};

/// Most calls of a transport take less: then the writer sees to it after the call. Chosen, not
/// tuned.
const PATIENCE: Duration = Duration::from_millis(10);

/// Until a thread that could not be started is tried again. Chosen, not tuned.
const RETRY: Duration = Duration::from_secs(1);

/// There is something to see to: a deadline, or the end.
const CALLED: u8 = 1;
/// The writer does not see to it now.
const AWAY: u8 = 2;

pub(crate) struct Watch {
    id: SessionId,
    /// Where the writer waits.
    pub(crate) writer: Waiter,
    /// [`CALLED`] and [`AWAY`].
    state: AtomicU8,
    timekeeping: Mutex<Option<Timekeeping>>,
}

/// Until the session's end. Dropped in this order: the session counts as ended once the last pump
/// is dropped, and by then nothing must be left of the transport.
struct Timekeeping {
    shutdown: ShutdownFn,
    _seat: Seat,
    epoch: Instant,
    pump: TimerPump,
}

impl Watch {
    /// Fails if the timer's thread cannot be started.
    pub(crate) fn new(
        id: SessionId,
        shutdown: ShutdownFn,
        epoch: Instant,
        pump: TimerPump,
    ) -> io::Result<Arc<Self>> {
        let timekeeping = Timekeeping {
            shutdown,
            _seat: Seat::take(id.get())?,
            epoch,
            pump,
        };
        Ok(Arc::new(Self {
            id,
            writer: Waiter::new(),
            // The first deadline is to be set.
            state: AtomicU8::new(CALLED),
            timekeeping: Mutex::new(Some(timekeeping)),
        }))
    }

    /// Something is to be seen to. It only notifies, so any thread may call it.
    pub(crate) fn call(self: &Arc<Self>) {
        let before = self.state.fetch_or(CALLED, SeqCst);
        if before & CALLED != 0 {
            return;
        }
        if before & AWAY == 0 {
            self.writer.wake();
        } else {
            self.wait_for_writer();
        }
    }

    fn wait_for_writer(self: &Arc<Self>) {
        self.set(Instant::now() + PATIENCE);
    }

    fn set(self: &Arc<Self>, at: Instant) {
        timer::set(self.id.get(), self, at);
    }

    /// Runs `act`, which may block, on the writer's thread.
    pub(crate) fn away<R>(self: &Arc<Self>, act: impl FnOnce() -> R) -> R {
        let before = self.state.fetch_or(AWAY, SeqCst);
        // A call before this has woken the writer, which does not look before it is back.
        if before & CALLED != 0 {
            self.wait_for_writer();
        }
        let result = act();
        self.state.fetch_and(!AWAY, SeqCst);
        result
    }

    /// Sees to what the session was called for, if it was. Ready once it has ended; then
    /// [`end`](Self::end) is to be called.
    pub(crate) fn attend(self: &Arc<Self>) -> Poll<()> {
        if self.state.load(SeqCst) & CALLED == 0 {
            return Poll::Pending;
        }
        let mut timekeeping = self.lock();
        // Before the look: what comes during it calls again.
        self.state.fetch_and(!CALLED, SeqCst);
        let Some(Timekeeping { epoch, pump, .. }) = &mut *timekeeping else {
            return Poll::Ready(());
        };
        let waker = Waker::from(Arc::clone(self));
        let poll = pump.poll(&mut Context::from_waker(&waker), |_, until| {
            // `None` is further away than the clock reaches.
            match epoch.checked_add(until) {
                Some(until) if until <= Instant::now() => return Poll::Ready(()),
                Some(until) => self.set(until),
                None => {}
            }
            Poll::Pending
        });
        poll.map(drop)
    }

    /// The session has ended: shuts the transport down, so that threads blocked in it return.
    pub(crate) fn end(self: &Arc<Self>) {
        let timekeeping = self.lock().take();
        // The writer, to end too.
        self.call();
        if let Some(timekeeping) = timekeeping {
            // It may be shut already, or broken; there is nothing left to do about it.
            let _ = (timekeeping.shutdown)(Shutdown::Both);
        }
    }

    /// In the writer's place.
    fn stand_in(self: &Arc<Self>) {
        // A panic must not leave the other threads blocked in the transport.
        let attended = catch_unwind(AssertUnwindSafe(|| self.attend()));
        if !matches!(attended, Ok(Poll::Pending)) {
            self.end();
        }
    }

    /// Foreign code that panics leaves it as it is: the session ends then.
    fn lock(&self) -> MutexGuard<'_, Option<Timekeeping>> {
        ignore_poison(self.timekeeping.lock())
    }
}

impl Timed for Watch {
    /// It only notifies, or starts a thread.
    fn tell(self: Arc<Self>) {
        let before = self.state.fetch_or(CALLED, SeqCst);
        if before & AWAY == 0 {
            self.writer.wake();
        } else if before & CALLED == 0 {
            self.wait_for_writer();
        } else {
            let watch = Arc::clone(&self);
            if start("smux-stand-in", move || watch.stand_in()).is_err() {
                self.set(Instant::now() + RETRY);
            }
        }
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

/// The writer's thread, as the watch knows it: away for ever once this is dropped.
pub(crate) struct Presence(pub(crate) Arc<Watch>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.state.fetch_or(AWAY | CALLED, SeqCst);
        // Unless the session has ended, which it has if nothing panicked.
        self.0.set(Instant::now());
    }
}
