//! How streams end, and when an entry of the table goes.

use alloc::vec::Vec;

use crate::{
    priority::Priority,
    streams::{Streams, stream::Flag, table::Key},
    wire::StreamId,
};

/// The scheduler knows of a stream for which any of these is so.
const SCHEDULED: [Flag; 5] = [
    Flag::OwesData,
    Flag::InFresh,
    Flag::InRound,
    Flag::InControl,
    Flag::InBlocked,
];

impl Streams {
    /// Ends a stream for the application, also one that was never accepted.
    pub(crate) fn close(&mut self, key: Key) {
        let stream = &self.table[key];
        if stream.has(Flag::InWindows) || !stream.recv.queue.is_empty() || stream.write_waits() {
            self.let_go(key);
        }
        let stream = &mut self.table[key];
        match self.reason {
            None => stream.set_all([Flag::Closed, Flag::Finished]),
            Some(_) => stream.set(Flag::Closed),
        }
        self.scheduler.owe_data(key, stream);
        // While the session lasts, a FIN is owed unless one has left.
        let may_be_sent = stream.has_sent_fin() || self.reason.is_some();
        if may_be_sent && stream.is_sent(self.config.half_close()) {
            self.remove(key);
        }
    }

    /// Frees what a stream holds of its session. Most hold nothing when they are closed.
    #[inline(never)]
    fn let_go(&mut self, key: Key) {
        self.release_window(key);
        self.discard_received(key);
        self.end_write_stall(key);
    }

    pub(super) fn uncount(&mut self, id: StreamId) {
        if self.side.owns(id) {
            self.outbound -= 1;
        } else {
            self.inbound -= 1;
        }
        self.notify_opener();
    }

    /// A stream that is spent holds nothing of its session, so it takes no other's place.
    pub(crate) fn uncount_if_spent(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if stream.is_spent(self.config.half_close()) && !stream.has(Flag::Spent) {
            stream.set(Flag::Spent);
            let id = stream.id;
            self.uncount(id);
        }
    }

    /// Stops counting a stream that is spent; forgets one for which nothing remains to be done.
    #[inline]
    pub(crate) fn remove_if_done(&mut self, key: Key) {
        let stream = &self.table[key];
        if !stream.has(Flag::Closed) {
            self.uncount_if_spent(key);
        } else if stream.is_sent(self.config.half_close()) {
            self.remove(key);
        }
    }

    /// Forgets a stream for which nothing remains to be done.
    #[inline(never)]
    pub(crate) fn remove(&mut self, key: Key) {
        if !self.table.remove(key) {
            return;
        }
        let stream = self.table.removed(key);
        if !stream.has(Flag::Spent) {
            let id = stream.id;
            self.uncount(id);
        }
        let stream = self.table.removed(key);
        self.trace.gone(stream.id);
        if stream.has_any(SCHEDULED) || stream.priority != Priority::NORMAL {
            self.scheduler.forget(key, stream, &self.table);
        }
        if stream.has(Flag::InEvents) {
            self.events.forget(&self.table);
        }
        if stream.has(Flag::Overran) {
            let table = &self.table;
            self.overrunners.forget(|key| table.get(key).is_some());
        }
        self.table.trim();
    }

    /// Drops everything that was to be sent, and tells the writers.
    pub(crate) fn end_output(&mut self) {
        self.scheduler.clear();
        let keys: Vec<Key> = self.table.keys().collect();
        for key in keys {
            self.cut_off(key);
            // A flush may have begun after the session's end was told.
            self.notify_writer(key);
            self.remove_if_done(key);
        }
    }

    /// Sends nothing more of a stream.
    pub(super) fn cut_off(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if !stream.is_sent(self.config.half_close()) {
            stream.set(Flag::CutOff);
        }
        for flag in [Flag::Finished, Flag::OwesSyn, Flag::OwesUpd] {
            stream.clear(flag);
        }
        self.discard_queued(key);
    }

    /// The peer finished a stream: it sends no more data on it.
    #[inline]
    pub(crate) fn on_peer_finished(&mut self, key: Key) {
        if self.table[key].has(Flag::InWindows) {
            self.end_window(key);
        }
        let stream = &mut self.table[key];
        stream.set(Flag::PeerFinished);
        self.trace.finished(stream.id);
        self.events.raise(key, stream, Flag::EventFinished);
        // Without half-close our own FIN may have waited for this.
        self.scheduler.owe_data(key, stream);
    }

    /// The peer reads a stream no more: what is queued is of no use.
    #[inline]
    pub(crate) fn on_peer_stopped(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.set(Flag::Stopped);
        self.trace.stopped(stream.id);
        self.events.raise(key, stream, Flag::EventStopped);
        if !stream.send.queue.is_empty() || stream.writer_waits() {
            self.discard_queued(key);
            self.notify_writer(key);
        }
    }
}
