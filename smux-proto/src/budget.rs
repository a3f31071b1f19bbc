//! The receive budget: what all streams of a session together may hold.

use core::time::Duration;

use crate::stats::SessionStats;

/// The token bucket of the protocol: a byte that arrives takes a token, a byte that is read or
/// discarded gives it back, and no frame is begun without one left.
///
/// With windows, peers that keep to them can use it up exactly, and have nothing but control
/// frames to send then; so in version 2 no frame is begun only once it is overdrawn.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: usize,
    stalled_since: Option<Duration>,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            stalled_since: None,
        }
    }

    /// Whether another frame may begin. It may then exceed the limit by its size.
    pub(crate) const fn is_open(&self, windows: bool) -> bool {
        self.used < self.limit + windows as usize
    }

    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    pub(crate) const fn charge(&mut self, bytes: usize) {
        self.used += bytes;
    }

    pub(crate) const fn refund(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used);
        self.used = self.used.saturating_sub(bytes);
    }

    /// Input has to wait.
    pub(crate) const fn stall(&mut self, now: Duration, stats: &mut SessionStats) {
        if self.stalled_since.is_none() {
            self.stalled_since = Some(now);
            stats.receive_stalls += 1;
        }
    }

    /// Input goes on.
    pub(crate) fn resume(&mut self, now: Duration, stats: &mut SessionStats) {
        if let Some(since) = self.stalled_since.take() {
            stats.receive_stall_time += now.saturating_sub(since);
        }
    }
}
