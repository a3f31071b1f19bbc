//! tokio's clock and timer for the driver.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_proto::poll::{Clock, Timer};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer whose time a test can pause.
pub(crate) struct TokioTimer {
    epoch: Instant,
    /// Made when first polled: only then is there surely a runtime.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Wakes the task that the sleep wakes.
    waker: Option<Waker>,
}

impl TokioTimer {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            sleep: None,
            waker: None,
        }
    }
}

impl Timer for TokioTimer {
    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || epoch.elapsed())
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        let Some(deadline) = self.epoch.checked_add(until) else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let is_set = sleep.deadline() == deadline;
        let wakes = self.waker.as_ref();
        // Drivers wait for the same deadline again and again, so this is a third of the cost.
        if is_set && !sleep.is_elapsed() && wakes.is_some_and(|old| old.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        if !is_set {
            sleep.as_mut().reset(deadline);
        }
        let poll = sleep.as_mut().poll(cx);
        self.waker = poll.is_pending().then(|| cx.waker().clone());
        poll
    }
}
