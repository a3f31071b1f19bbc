//! Streams that come to have a window, and streams that have none any more.

use crate::{
    config::INITIAL_WINDOW,
    streams::{
        scheduler::Scheduler,
        stream::Flag,
        table::{Key, Table},
    },
    wire::StreamId,
};

use super::{LOOKS, Windows, reclaiming::before};

/// Streams that the hand looks at for each that joins while the budget is committed, so that the
/// windows of all have come down to the base before there are twice as many.
const JOIN_LOOKS: usize = 8;

impl Windows {
    /// Whether the smallest windows leave room for another stream of this id's side, and there is
    /// a byte of the budget for each stream of both: a window of nothing would never end.
    pub(crate) const fn has_room(&self, id: StreamId) -> bool {
        let [even, odd] = self.streams;
        (self.streams[parity(id)] + 1).saturating_mul(self.floor) <= self.configured
            && even + odd < self.configured
    }

    /// Gives a new stream its window.
    pub(crate) fn join(&mut self, key: Key, table: &mut Table, scheduler: &mut Scheduler) {
        let stream = &mut table[key];
        self.streams[parity(stream.id)] += 1;
        stream.set(Flag::InWindows);
        let clock = self.clock();
        stream.recv.period.start = clock;
        stream.recv.period.last_arrival = clock;
        stream.recv.set_window(INITIAL_WINDOW);
        self.committed += stream.recv.committed();
        self.granted += stream.recv.granted();
        let initial = INITIAL_WINDOW as usize;
        if self.committed <= self.budget && initial <= self.budget / 2 {
            return self.note_window(initial);
        }
        for _ in 0..JOIN_LOOKS.min(table.slots()) {
            self.hand = before(self.hand, table);
            if self.hand != key.slot() {
                self.reclaim(self.hand, table, scheduler);
            }
        }
        // The streams that came last are the likeliest to have more than they use.
        let mut slot = key.slot();
        for _ in 1..LOOKS.min(table.slots()) {
            if self.committed <= self.budget || self.is_exhausted() {
                break;
            }
            slot = before(slot, table);
            self.reclaim(slot, table, scheduler);
        }
        let stream = &mut table[key];
        if self.committed > self.budget || initial > self.budget / 2 {
            let window = self.allowed(self.base(), key, stream);
            self.set_window(window, key, stream, scheduler);
        } else {
            self.note_window(initial);
        }
    }

    /// Reclaims the window of a stream that will neither receive nor be read.
    pub(crate) fn leave(&mut self, key: Key, table: &mut Table) {
        let stream = &mut table[key];
        stream.clear(Flag::InWindows);
        self.committed -= stream.recv.committed();
        self.granted -= stream.recv.granted();
        self.streams[parity(stream.id)] -= 1;
        stream.recv.set_window(0);
        if self.end_starving(stream) {
            self.starved.forget(|key| {
                table
                    .get(key)
                    .is_some_and(|stream| stream.has(Flag::InStarved))
            });
        }
    }
}

const fn parity(id: StreamId) -> usize {
    (id.get() % 2) as usize
}
