//! tokio's clock and timer for the driver.

use std::{
    future::Future,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_proto::poll::{Clock, Timer, sleep_together};
use tokio::time::{Instant, Sleep, sleep_until};

/// From when sleeps are counted that end together.
static COMMON_EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A timer whose time a test can pause.
pub(crate) struct TokioTimer {
    epoch: Instant,
    /// Made when first polled: only then is there surely a runtime.
    sleep: Option<Pin<Box<Sleep>>>,
    /// What the sleep was set for; it may end a little later.
    until: Duration,
    /// Wakes the task that the sleep wakes.
    waker: Option<Waker>,
}

impl TokioTimer {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            sleep: None,
            until: Duration::ZERO,
            waker: None,
        }
    }

    fn set(&mut self, until: Duration) {
        self.until = until;
        match (self.end_of_sleep(until), &mut self.sleep) {
            (Some(end), Some(sleep)) => sleep.as_mut().reset(end),
            (end, sleep) => *sleep = end.map(|end| Box::pin(sleep_until(end))),
        }
    }

    /// `None`: never.
    fn end_of_sleep(&self, until: Duration) -> Option<Instant> {
        let deadline = self.epoch.checked_add(until)?;
        let wait = until.saturating_sub(self.epoch.elapsed());
        // Zero if time is paused and has another beginning: then it ends on time.
        let since = deadline.saturating_duration_since(*COMMON_EPOCH);
        deadline.checked_add(sleep_together(since, wait) - since)
    }
}

impl Timer for TokioTimer {
    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || epoch.elapsed())
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        let is_set = self.sleep.is_some() && self.until == until;
        if !is_set {
            self.set(until);
        }
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        let wakes = self.waker.as_ref();
        // Drivers wait for the same deadline again and again, so this is a third of the cost.
        if is_set && !sleep.is_elapsed() && wakes.is_some_and(|old| old.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let poll = sleep.as_mut().poll(cx);
        self.waker = poll.is_pending().then(|| cx.waker().clone());
        poll
    }
}
