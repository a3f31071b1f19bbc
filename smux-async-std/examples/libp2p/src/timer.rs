//! tokio's clock and timer for a session, so that no second runtime runs beside libp2p's.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use smux_async_std::{Clock, Timer};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) struct TokioTimer {
    epoch: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl TokioTimer {
    pub(crate) fn new() -> Self {
        let epoch = Instant::now();
        Self {
            epoch,
            sleep: Box::pin(sleep_until(epoch)),
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
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}
