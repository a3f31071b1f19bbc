//! Pauses between attempts.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);

/// Pauses that double up to a limit, which is at least the first: a limit of zero would make every
/// attempt follow the last at once. Each is shortened by up to a half at random, so that clients
/// which lost a server together do not all reconnect together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    limit: Duration,
}

impl Backoff {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            next: FIRST,
            limit: limit.max(FIRST),
        }
    }

    /// After a success.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.limit);
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(1.0 - fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.limit);
        pause
    }
}
