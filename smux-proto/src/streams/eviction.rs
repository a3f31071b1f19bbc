//! Streams that end because the receive budget is empty: in version 2 those that went beyond their
//! window, in version 1 slow readers.

use core::time::Duration;

use crate::streams::{Streams, stream::Flag, table::Key};

/// Overrunning streams among which the worst is looked for.
const MOST_LOOKS: usize = 256;

impl Streams {
    /// With the budget empty, ends the stream that holds most beyond its window, if there is one.
    pub(super) fn evict_worst(&mut self) {
        let mut worst = None;
        // Streams that hold nothing beyond their windows leave the queue, once for each entry.
        let mut looks = MOST_LOOKS.min(self.overrunners.len());
        while looks > 0
            && let Some(key) = self.overrunners.pop()
        {
            let Some(stream) = self.table.get_mut(key) else {
                continue;
            };
            let excess = (stream.recv.overrun() as usize).min(stream.recv.queue.len());
            if excess == 0 || stream.has(Flag::Evicted) {
                stream.clear(Flag::Overran);
                continue;
            }
            looks -= 1;
            self.overrunners.push(key);
            worst = worst.max(Some((excess, key)));
        }
        let Some((_, key)) = worst else {
            return;
        };
        self.stats.streams_evicted += 1;
        self.release_window(key);
        self.trace.evicted(self.table[key].id);
        self.discard_received(key);
        self.end_evicted(key);
    }

    /// When the next slow reader is to be evicted, if nothing happens before.
    pub(crate) fn next_eviction(&self) -> Option<Duration> {
        let waits = !self.input_over && !self.has_receive_budget();
        let (_, at) = if waits {
            self.slow_readers.next()
        } else {
            None
        }?;
        Some(at)
    }

    /// With the budget empty, ends slow readers until it is not. Returns whether it is not.
    pub(crate) fn evict_slow_readers(&mut self, now: Duration) -> bool {
        while self.next_eviction().is_some_and(|at| at <= now)
            && let Some((key, _)) = self.slow_readers.next()
        {
            self.evict_slow_reader(key);
        }
        self.has_receive_budget()
    }

    /// Takes what a stream has unread out of the budget, and ends the stream if more would follow.
    ///
    /// Its reader gets what has arrived, unless evicted streams hold as much as a budget already.
    pub(super) fn evict_slow_reader(&mut self, key: Key) {
        self.stats.streams_evicted += 1;
        self.trace.evicted(self.table[key].id);
        self.slow_readers.forget(key, &mut self.table[key]);
        let held = self.table[key].recv.queue.len();
        // A frame may exceed the budget.
        let most = self.config.max_receive_buffer() + usize::from(u16::MAX);
        let fits = self.slow_readers.unbudgeted() + held <= most;
        if fits {
            self.budget.refund(held);
            self.slow_readers.keep(held);
            self.table[key].set(Flag::Unbudgeted);
        } else {
            self.discard_received(key);
        }
        if !fits || !self.table[key].has(Flag::PeerFinished) {
            self.end_evicted(key);
        }
    }

    /// Ends an evicted stream: FIN follows what was written.
    pub(super) fn end_evicted(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.set(Flag::Evicted);
        if self.reason.is_none() {
            stream.set(Flag::Finished);
        }
        stream.clear(Flag::ReadWaits);
        self.scheduler.owe_data(key, stream);
        self.events.raise(key, stream, Flag::EventReadable);
        self.notify_writer(key);
    }
}
