//! A driver on async-io's clock and timer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_io::Timer;
use futures_io::{AsyncRead, AsyncWrite};
use smux_proto::{
    CloseReason, Config, Side,
    poll::{self, Clock, SessionHandle, sleep_together},
};

use crate::transport::Io;

/// Moves a session's bytes until the session has ended; then drops the transport and resolves with
/// the reason.
///
/// Poll it on any executor. Dropping it before it resolves aborts the session.
#[cfg_attr(docsrs, doc(cfg(feature = "async-io")))]
#[must_use = "a session does nothing unless its driver is polled: spawn it"]
pub struct Driver<T>(poll::Driver<Io<T, AsyncIoTimer>>);

pub(crate) fn start<T: AsyncRead + AsyncWrite>(
    side: Side,
    io: T,
    config: Config,
) -> (SessionHandle, Driver<T>) {
    let timer = AsyncIoTimer::new();
    let (clock, io) = (poll::Timer::clock(&timer), Io::new(io, timer));
    let (handle, driver) = poll::connect(side, config, clock, io);
    (handle, Driver(driver))
}

impl<T: AsyncRead + AsyncWrite> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From when sleeps are counted that end together.
static COMMON_EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

struct AsyncIoTimer {
    epoch: Instant,
    timer: Timer,
    /// What the timer is set for, if it is set; it may fire a little later.
    timer_at: Option<Duration>,
}

impl AsyncIoTimer {
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            timer: Timer::never(),
            timer_at: None,
        }
    }

    /// `None`: never.
    fn end_of_sleep(&self, until: Duration) -> Option<Instant> {
        let deadline = self.epoch.checked_add(until)?;
        let wait = until.saturating_sub(self.epoch.elapsed());
        let since = deadline.saturating_duration_since(*COMMON_EPOCH);
        deadline.checked_add(sleep_together(since, wait) - since)
    }
}

impl poll::Timer for AsyncIoTimer {
    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || epoch.elapsed())
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        if self.timer_at != Some(until) {
            let Some(end) = self.end_of_sleep(until) else {
                return Poll::Pending;
            };
            self.timer.set_at(end);
            self.timer_at = Some(until);
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        // A timer that has fired does not fire again for the same time.
        self.timer_at = None;
        Poll::Ready(())
    }
}

/// Its task holds it, beside some hundred bytes of the executor's; the transport has a box.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Driver<()>>() <= 624);
