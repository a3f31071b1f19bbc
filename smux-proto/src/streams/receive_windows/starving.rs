//! Streams that have no window for want of budget.

use crate::streams::{
    scheduler::Scheduler,
    stream::{Flag, Stream},
    table::{Key, Table},
};

use super::{LOOKS, Windows};

impl Windows {
    /// Returns the number of streams that have no window for want of budget.
    pub(crate) const fn starved_streams(&self) -> usize {
        self.starved_streams
    }

    /// Returns how often a stream was left without a window.
    pub(crate) const fn starvations(&self) -> u64 {
        self.starvations
    }

    /// Grants freed budget to starved streams.
    pub(crate) fn grant_waiting(&mut self, table: &mut Table, scheduler: &mut Scheduler) {
        // Those for whom this is not enough are served with the next batch, which is owed then.
        for _ in 0..LOOKS {
            if self.starved_streams == 0 || self.free() < self.floor() {
                return;
            }
            let Some(key) = self.starved.pop() else {
                return;
            };
            if let Some(stream) = table.get_mut(key)
                && self.end_starving(stream)
                && !stream.has(Flag::PeerFinished)
            {
                let window = self.allowed(self.base(), key, stream);
                self.set_window(window, key, stream, scheduler);
            }
        }
    }

    /// Returns as much of a window as there is. If that is less than the floor, the stream starves.
    pub(super) fn allowed(&mut self, wanted: usize, key: Key, stream: &mut Stream) -> usize {
        let limit = self.limit(stream);
        self.pressed |= wanted > limit;
        if limit >= self.floor() {
            return wanted.min(limit);
        }
        if !stream.has(Flag::InStarved) {
            stream.set(Flag::InStarved);
            self.starved_streams += 1;
            self.starvations += 1;
            self.starved.push(key);
            // A round under way has passed windows in use.
            self.looks_left = 0;
            self.pressed = true;
        }
        0
    }

    /// Notes that a stream starves no more. Returns whether it did.
    pub(super) const fn end_starving(&mut self, stream: &mut Stream) -> bool {
        let starved = stream.clear(Flag::InStarved);
        self.starved_streams -= starved as usize;
        starved
    }
}
