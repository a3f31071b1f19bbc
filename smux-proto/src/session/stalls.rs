//! What holds data up, for those that are told of stalls that last.

use alloc::vec::Vec;
use core::time::Duration;

use crate::trace::{Obstacle, Stall};

use super::Session;

impl Session {
    /// When [`look_at_stalls`](Self::look_at_stalls) is due.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.watch.next_look(self.may_stall())
    }

    /// Notes what is held up, if that is due.
    pub(super) fn look_at_stalls(&mut self, now: Duration) {
        if self.watch.is_due(self.may_stall(), now) {
            let stalls = self.stalls(now);
            self.watch.look(now, stalls, &mut self.streams.trace);
        }
    }

    fn may_stall(&self) -> bool {
        self.liveness.without_progress().is_some() || self.streams.may_stall()
    }

    fn stalls(&self, now: Duration) -> Vec<Stall> {
        let link = self.liveness.without_progress();
        let link = link.map(|(since, written)| Stall {
            obstacle: Obstacle::Link,
            stream: None,
            progress: written,
            since,
        });
        link.into_iter()
            .chain(self.streams.paused_input(now))
            .chain(self.streams.stalled_streams(now))
            .collect()
    }
}
