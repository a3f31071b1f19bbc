//! What holds data up, and since when.

use core::time::Duration;

use crate::{
    stats::StallCause,
    streams::{
        Streams,
        stream::{Flag, Stream},
    },
    trace::{Obstacle, Stall},
};

impl Streams {
    /// The time was told. A write tells none, but who waits for it tells it next.
    pub(super) fn time_newest_stall(&mut self) {
        if let Some(key) = self.stalls.newest.take()
            && let Some(stream) = self.table.get_mut(key)
        {
            stream.stalled_since = self.windows.now_millis();
        }
    }

    /// How long a stream's write has waited.
    pub(super) fn write_stall_time(&self, stream: &Stream) -> Duration {
        if stream.write_stall.is_none() {
            return Duration::ZERO;
        }
        let since = stream.stalled_since;
        Duration::from_millis(self.windows.now_millis().wrapping_sub(since).into())
    }

    /// Whether there is data that could be held up.
    pub(crate) fn may_stall(&self) -> bool {
        !self.stalls.is_empty() || self.budget.used() > 0 || self.windows.starved_streams() > 0
    }

    /// Input that waits for all streams. With windows it waits for single ones, unless sessions
    /// share a budget.
    pub(crate) fn paused_input(&self, now: Duration) -> Option<Stall> {
        let shares = self.budget.limit() < self.config.max_receive_buffer();
        if self.has_receive_budget() || (self.is_v2() && !shares) {
            return None;
        }
        let fullest = self
            .table
            .iter()
            .max_by_key(|stream| stream.recv.queue.len());
        Some(Stall {
            obstacle: match shares {
                true => Obstacle::Budget,
                false => Obstacle::Reader,
            },
            stream: fullest.map(|stream| stream.id),
            progress: self.stats.bytes_received,
            since: now,
        })
    }

    /// Version 2: streams on which nothing moves for want of a window, here or at the peer.
    pub(crate) fn stalled_streams(&self, now: Duration) -> impl Iterator<Item = Stall> {
        let is_v2 = self.is_v2();
        self.table
            .iter()
            .filter(move |stream| is_v2 && !stream.has(Flag::Closed))
            .flat_map(move |stream| [self.unsent(stream, now), unread(stream, now)])
            .flatten()
    }

    fn unsent(&self, stream: &Stream, now: Duration) -> Option<Stall> {
        (stream.write_stall == Some(StallCause::PeerWindow)).then(|| Stall {
            obstacle: Obstacle::Window,
            stream: Some(stream.id),
            progress: stream.send.written,
            since: now.saturating_sub(self.write_stall_time(stream)),
        })
    }
}

/// A full window that the application does not read, or none.
fn unread(stream: &Stream, now: Duration) -> Option<Stall> {
    let has_unread = !stream.recv.queue.is_empty();
    let obstacle = if has_unread && stream.takes_data() && stream.recv.is_used_up() {
        Obstacle::Reader
    } else if !has_unread && stream.has(Flag::InStarved) {
        Obstacle::Budget
    } else {
        return None;
    };
    Some(Stall {
        obstacle,
        stream: Some(stream.id),
        progress: stream.recv.read,
        since: now,
    })
}
