//! Room of a send queue that is lent to the stream's writer: what it writes there costs the session
//! nothing until it is taken back.
//!
//! Lent room counts as queued, so it is within every limit, and the peer's window. A stream has at
//! most one piece. It is lent while the stream has data, so the stream has a turn to come, before
//! which the room is taken back.

use crate::{
    buffer::Buffer,
    streams::{Streams, stream::Flag, table::Key},
};

/// Bytes that are lent at a time: many small writes, and a segment as long queues have.
pub(crate) const ROOM: usize = 4_096;

impl Streams {
    /// Lends a buffer for [`ROOM`] bytes, unless the stream has less room than that or no data, or
    /// its writer waits.
    pub(crate) fn lend_room(&mut self, key: Key) -> Option<Buffer> {
        let stream = &self.table[key];
        let may_write = self.reason.is_none() && !stream.writes_no_more();
        let is_due = !stream.send.queue.is_empty() && !stream.writer_waits();
        if !may_write || !is_due || self.room(stream) < ROOM {
            return None;
        }
        self.queued += ROOM;
        self.lent += 1;
        Some(self.segments.lend(ROOM))
    }

    /// Takes lent room back, with the bytes that were written there. `sends`: output is not over.
    pub(crate) fn take_back(&mut self, key: Key, buffer: Buffer, sends: bool) {
        self.queued -= ROOM;
        self.lent -= 1;
        let Some(stream) = self.table.get_mut(key) else {
            return self.segments.recycle(buffer);
        };
        let count = buffer.len();
        stream.send.wrote(count);
        if sends && !stream.writes_no_more() {
            self.queued += count;
            let limit = self.send_segment;
            self.segments
                .push_buffer(&mut stream.send.queue, buffer, limit);
            self.scheduler.owe_data(key, stream);
        } else {
            stream.send.drop_written(count);
            if count > 0 {
                stream.set(Flag::CutOff);
            }
            self.segments.recycle(buffer);
        }
    }

    /// Whether more of the send queue is lent than holds data: then writers may wait for room that
    /// is not used.
    pub(crate) const fn is_mostly_lent(&self) -> bool {
        2 * ROOM * self.lent as usize > self.queued
    }
}
