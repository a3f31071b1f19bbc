//! How streams come into a session: opened here, or by the peer and accepted.

use crate::{
    config::INITIAL_WINDOW,
    streams::{
        Streams,
        stream::{Flag, Stream},
        table::Key,
    },
    wire::StreamId,
};

impl Streams {
    /// Adds a stream that the application opens, if the limits allow one more; its SYN is owed.
    #[inline]
    pub(crate) fn open(&mut self, id: StreamId) -> Option<Key> {
        if !self.poll_openable(id) {
            return None;
        }
        let key = self.insert(id);
        let stream = &mut self.table[key];
        stream.set_all([Flag::Accepted, Flag::OwesSyn]);
        self.scheduler.owe_control(key, stream);
        self.stats.streams_opened += 1;
        self.trace.opened(id);
        Some(key)
    }

    /// Whether the limits allow one more stream of ours; if not, an event follows when they do.
    pub(crate) fn poll_openable(&mut self, id: StreamId) -> bool {
        let openable = self.version.is_some()
            && self.outbound < self.config.max_outbound_streams()
            && self.has_window_room(id);
        self.open_waits |= !openable;
        openable
    }

    /// Whether the smallest windows leave room for another stream of this id's side.
    pub(crate) fn has_window_room(&self, id: StreamId) -> bool {
        !self.is_v2() || self.windows.has_room(id)
    }

    /// Adds a stream that the peer opens, to wait in the backlog.
    #[inline]
    pub(crate) fn open_inbound(&mut self, id: StreamId) {
        let key = self.insert(id);
        self.backlog.push(key);
        self.events.acceptable();
    }

    /// Takes the stream that has waited longest in the backlog.
    pub(crate) fn accept(&mut self) -> Option<(StreamId, Key)> {
        let key = self.backlog.pop()?;
        let stream = &mut self.table[key];
        stream.set(Flag::Accepted);
        self.stats.streams_accepted += 1;
        self.trace.accepted(stream.id);
        Some((stream.id, key))
    }

    /// Closes every stream of the backlog.
    pub(crate) fn refuse_backlog(&mut self) {
        while let Some(key) = self.backlog.pop() {
            self.stats.streams_refused += 1;
            let id = self.table[key].id;
            self.trace.refused(id, "accepting has stopped");
            self.close(key);
        }
    }

    /// Adds a stream to the table, with its window.
    // Inlined, since both of its callers do little else: 22 instructions less for a stream.
    #[inline(always)]
    fn insert(&mut self, id: StreamId) -> Key {
        let window = self.config.initial_send_window().min(INITIAL_WINDOW);
        let key = self.table.insert(Stream::new(id, window));
        if self.side.owns(id) {
            self.outbound += 1;
        } else {
            self.inbound += 1;
        }
        if self.is_v2() {
            self.windows.join(key, &mut self.table, &mut self.scheduler);
        }
        key
    }

    /// The streams that count against the limits.
    pub(crate) const fn count(&self) -> usize {
        self.inbound + self.outbound
    }

    pub(crate) const fn notify_opener(&mut self) {
        if core::mem::replace(&mut self.open_waits, false) {
            self.events.openable();
        }
    }
}
