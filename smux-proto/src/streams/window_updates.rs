//! When a peer is told of a [window](super::receive_windows), and when a window ends.

use crate::{
    streams::{Streams, stream::Flag, table::Key},
    wire::WindowUpdate,
};

impl Streams {
    /// Version 2: owes an update if the peer should hear of what was read.
    // Out of line, so that reads of small messages do not save registers for it.
    #[inline(never)]
    pub(super) fn update_window(&mut self, key: Key) {
        let partial = self.partial(key);
        let stream = &mut self.table[key];
        if stream.has(Flag::PeerFinished) {
            return self.end_window(key);
        }
        // An update to a starved stream would only repeat that there is no window.
        if stream.has(Flag::InWindows)
            && !stream.has_any([Flag::OwesUpd, Flag::InStarved])
            && stream.recv.update_due(partial)
        {
            stream.set(Flag::OwesUpd);
            self.scheduler.owe_control(key, stream);
        }
        self.grant_waiting();
    }

    /// Returns the update that a stream owes.
    pub(crate) fn announce(&mut self, key: Key) -> WindowUpdate {
        let partial = self.partial(key);
        self.windows.announce(key, partial, &mut self.table[key])
    }

    /// Reclaims unused windows for streams that want more than there is.
    pub(crate) fn relieve_windows(&mut self) {
        if !self.is_v2() {
            return;
        }
        self.windows.relieve(&mut self.table, &mut self.scheduler);
        self.grant_waiting();
    }

    /// Whether windows can be reclaimed for streams that starve.
    pub(crate) const fn can_reclaim(&self) -> bool {
        self.windows.can_reclaim()
    }

    /// Grants freed budget to starved streams.
    #[inline]
    pub(super) fn grant_waiting(&mut self) {
        if self.windows.starved_streams() > 0 {
            self.windows
                .grant_waiting(&mut self.table, &mut self.scheduler);
        }
    }

    /// Ends the window of a stream that the peer has finished. Unread data keeps its budget.
    pub(super) fn end_window(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.clear(Flag::OwesUpd);
        if stream.recv.queue.is_empty() {
            self.release_window(key);
        } else {
            self.windows.end(stream);
            self.grant_waiting();
        }
    }

    /// Frees the window of a stream on which nothing more will be received or read.
    pub(super) fn release_window(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if !stream.has(Flag::InWindows) {
            return;
        }
        stream.clear(Flag::OwesUpd);
        self.windows.leave(key, &mut self.table);
        self.grant_waiting();
        self.notify_opener();
    }
}
