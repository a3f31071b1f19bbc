//! tokio's clock and timer for the driver.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use smux_proto::poll::{Clock, Timer};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer whose time a test can pause.
pub(crate) struct TokioTimer {
    epoch: Instant,
    /// Made when first polled: only then is there surely a runtime.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl TokioTimer {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            sleep: None,
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
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}
