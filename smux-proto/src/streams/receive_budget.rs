//! The receive budget: what all streams of a session together may hold.

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
    /// Input has to wait, or had to when the time was last told.
    stalled: bool,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            stalled: false,
        }
    }

    /// Whether another frame may begin. It may then exceed the limit by its size.
    pub(crate) const fn is_open(&self, windows: bool) -> bool {
        self.used < self.most(windows)
    }

    /// With how much in use no frame begins any more.
    pub(crate) const fn most(&self, windows: bool) -> usize {
        self.limit + windows as usize
    }

    /// Changes the limit, whatever is used of it.
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
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

    pub(crate) const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Marks input as stalled. Returns whether that is new.
    pub(crate) const fn stall(&mut self, stats: &mut SessionStats) -> bool {
        let begins = !core::mem::replace(&mut self.stalled, true);
        stats.receive_stalls += begins as u64;
        begins
    }

    /// Input can go on if there is room. Call it when the time is told: what makes room tells none,
    /// so a pause counts up to then.
    pub(crate) const fn resume(&mut self, windows: bool) {
        self.stalled &= !self.is_open(windows);
    }
}
