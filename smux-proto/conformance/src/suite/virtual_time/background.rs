//! Futures in virtual time.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use super::Part;

/// A future that runs by itself.
pub(super) struct Background {
    /// `None` once it has ended.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    woken: Arc<Woken>,
}

impl Background {
    pub(super) fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            future: Some(Box::pin(future)),
            woken: Arc::new(Woken::default()),
        }
    }
}

impl Part for Background {
    fn step(&mut self, _: Duration) -> bool {
        let Some(future) = &mut self.future else {
            return false;
        };
        let woken = self.woken.take();
        if woken {
            let waker = Waker::from(Arc::clone(&self.woken));
            if future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.future = None;
            }
        }
        woken
    }

    fn next_timer(&self) -> Option<Duration> {
        None
    }

    fn is_over(&self) -> bool {
        self.future.is_none()
    }
}

/// A waker that records that it was woken. It starts as woken, for the first poll.
pub(super) struct Woken(AtomicBool);

impl Default for Woken {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Woken {
    /// Whether it was woken since the last time.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
