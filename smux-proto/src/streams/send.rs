//! The sending half of a stream: what waits to leave, and how far the peer lets it go.

use crate::{buffer::segments::Queue, streams::recv::wire, wire::WindowUpdate};

/// Largest window: senders in use take more as a negative number.
const MAX_WINDOW: u32 = i32::MAX as u32;

#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) queue: Queue,
    /// Bytes that the application has written: counted before a frame can leave, so that no
    /// acknowledgement can overtake the count.
    pub(crate) written: u64,
    /// Version 2: what the peer has read, modulo 2^32.
    acknowledged: u32,
    /// Version 2: what the peer takes beyond that.
    window: u32,
    /// Bytes that were written and dropped, since the peer reads no more: one queue, after which
    /// none can be written.
    pub(crate) dropped: u32,
    /// What it may still queue of its turn at the session's send queue, while others stand in line
    /// for that.
    pub(crate) turn: u32,
    /// How far the session's output had come when the last frame of this stream was in it.
    pub(crate) flush_offset: u64,
}

/// What an update from the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateOutcome {
    Applied,
    /// It acknowledges less than an earlier one; ignored.
    Stale,
    /// It acknowledges more than was sent; not applied.
    Ahead,
}

impl Send {
    pub(crate) const fn new(window: u32) -> Self {
        Self {
            queue: Queue::new(),
            written: 0,
            acknowledged: 0,
            window,
            dropped: 0,
            turn: 0,
            flush_offset: 0,
        }
    }

    /// Bytes handed out for writing to the transport.
    pub(crate) const fn sent(&self) -> u64 {
        self.written - self.queue.len() as u64 - self.dropped as u64
    }

    /// Notes that so many bytes were queued.
    #[inline]
    pub(crate) const fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        if self.turn > 0 {
            self.turn = self.turn.saturating_sub(width(count));
        }
    }

    /// Notes that so many of the bytes written will not be sent.
    pub(crate) fn drop_written(&mut self, count: usize) {
        self.dropped = self.dropped.saturating_add(width(count));
    }

    /// Bytes that may be written before the peer's next update. All arithmetic is modulo 2^32.
    pub(crate) const fn credit(&self) -> usize {
        let in_flight = wire(self.written).wrapping_sub(self.acknowledged);
        self.window.saturating_sub(in_flight) as usize
    }

    pub(crate) fn update(&mut self, update: WindowUpdate) -> UpdateOutcome {
        let advance = update.consumed.wrapping_sub(self.acknowledged);
        let unacknowledged = wire(self.sent()).wrapping_sub(self.acknowledged);
        if advance <= unacknowledged {
            self.acknowledged = update.consumed;
            self.window = update.window.min(MAX_WINDOW);
            return UpdateOutcome::Applied;
        }
        if advance > MAX_WINDOW {
            return UpdateOutcome::Stale;
        }
        UpdateOutcome::Ahead
    }
}

/// Of a length below 2^32.
#[allow(clippy::cast_possible_truncation)]
const fn width(length: usize) -> u32 {
    length as u32
}
