//! Writes that wait, and how long.

use core::time::Duration;

use crate::{
    stats::{SessionStats, StallCause},
    streams::table::Key,
};

/// The writers of a session that wait, by cause.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    peer_window: Waiting,
    stream_queue: Waiting,
    session_queue: Waiting,
    /// Of all causes.
    writers: usize,
    /// The stream whose wait began last, unless the time was told since.
    pub(super) newest: Option<Key>,
}

#[derive(Debug, Default)]
struct Waiting {
    writers: usize,
    /// The time was told since the first of them began to wait. A write tells none, and the time
    /// that was told last may be long ago.
    timed: bool,
}

impl Stalls {
    pub(crate) fn begin(&mut self, key: Key, cause: StallCause, stats: &mut SessionStats) {
        let (waiting, count, _) = self.of(cause, stats);
        waiting.timed &= waiting.writers > 0;
        waiting.writers += 1;
        *count += 1;
        self.writers += 1;
        self.newest = Some(key);
    }

    pub(crate) fn end(&mut self, cause: StallCause, stats: &mut SessionStats) {
        self.of(cause, stats).0.writers -= 1;
        self.writers -= 1;
    }

    /// Whether no writer waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.writers == 0
    }

    pub(crate) fn on_time_passed(&mut self, time: Duration, stats: &mut SessionStats) {
        if self.is_empty() {
            return;
        }
        for cause in [
            StallCause::PeerWindow,
            StallCause::StreamQueue,
            StallCause::SessionQueue,
        ] {
            let (waiting, _, total) = self.of(cause, stats);
            if waiting.writers > 0 && core::mem::replace(&mut waiting.timed, true) {
                *total += time;
            }
        }
    }

    const fn of<'a>(
        &'a mut self,
        cause: StallCause,
        stats: &'a mut SessionStats,
    ) -> (&'a mut Waiting, &'a mut u64, &'a mut Duration) {
        match cause {
            StallCause::PeerWindow => (
                &mut self.peer_window,
                &mut stats.window_stalls,
                &mut stats.window_stall_time,
            ),
            StallCause::StreamQueue => (
                &mut self.stream_queue,
                &mut stats.stream_queue_stalls,
                &mut stats.stream_queue_stall_time,
            ),
            StallCause::SessionQueue => (
                &mut self.session_queue,
                &mut stats.session_queue_stalls,
                &mut stats.session_queue_stall_time,
            ),
        }
    }
}
