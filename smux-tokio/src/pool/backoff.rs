//! Random times, and the pauses between attempts.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Pauses that double up to a limit. Each is shortened by up to a half at random, so that clients
/// which lost a server together do not all return together.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
    limit: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, limit: Duration) -> Self {
        let limit = limit.max(first);
        Self {
            first,
            next: first,
            limit,
        }
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(super) fn pause(&mut self) -> Duration {
        let pause = shortened(self.next, 0.5);
        self.next = self.next.saturating_mul(2).min(self.limit);
        pause
    }
}

/// `time` less a random part of it, which is at most `part`.
pub(super) fn shortened(time: Duration, part: f64) -> Duration {
    // Each `RandomState` has a key of its own.
    let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    time.mul_f64(1.0 - part * random)
}
