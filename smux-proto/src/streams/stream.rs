//! The life of one stream, the same for both roles.
//!
//! ```text
//!            application                                 peer
//!
//!   open ──────────────────► SYN             SYN ───────────────► backlog ──► accept
//!   write ─────────────────► PSH             PSH ───────────────► read
//!   finish ────────────────► FIN             FIN ───────────────► read: end of stream
//!   close, peer finished ──► FIN if owed     FIN again ─────────► write: stopped
//!   close, peer not ───────► FIN, FIN
//! ```
//!
//! Rules:
//! * FIN stands behind all data of its stream; after it no data leaves, and data that arrives
//!   behind the peer's FIN is ignored.
//! * The two directions end independently: reading goes on after our FIN, writing after the peer's.
//! * Closing while the peer may still send takes two FINs: one ends our data, the second says that
//!   we read no more. Every release of the reference ignores the second; ours stops writing.
//! * Without half-close a FIN means both at once: ours waits until the stream is closed or the
//!   peer's has come, and the peer's stops our writing.
//! * What has arrived stays readable, whatever ends afterwards.
//! * Reading can be given up alone. The wire has no frame for it: what arrives is dropped and no
//!   UPD renews the window any more; FINs leave as if it were read.

use core::time::Duration;

use crate::{
    priority::Priority,
    stats::{StallCause, StreamState, StreamStats, WindowLimit},
    streams::recv::Recv,
    streams::send::Send,
    wire::StreamId,
};

/// A fact about a stream that is either so or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flag {
    /// The application has it, as opposed to the backlog.
    Accepted,
    /// The application wants no more of it.
    Closed,
    /// No more data will be written.
    Finished,
    /// The peer's FIN has come.
    PeerFinished,
    /// The peer's second FIN has come.
    PeerClosed,
    /// The peer reads no more.
    Stopped,
    /// The application reads no more: what arrives is dropped.
    ReadStopped,
    /// Both ends have finished and all is read: it counts among its session's streams no more.
    Spent,
    /// Ended here since it held too much of a full receive buffer.
    Evicted,
    /// Version 1: has more than its share unread.
    HoldsMuch,
    /// What it has unread is no part of the receive budget.
    Unbudgeted,
    /// Counts among the streams that were ever beyond their window.
    Overran,
    /// The peer's last update acknowledged more than was sent.
    AckedTooMuch,
    /// Some of its output was dropped.
    CutOff,
    OwesSyn,
    OwesUpd,
    /// Has data to send, or a FIN.
    OwesData,
    /// A read was pending.
    ReadWaits,
    /// `poll_sent` was pending.
    SentWaits,
    /// Events not polled yet.
    EventReadable,
    EventWritable,
    EventFinished,
    EventStopped,
    /// Stands in the queue of this name.
    InControl,
    InFresh,
    InRound,
    InBlocked,
    InEvents,
    InWindows,
    InStarved,
    /// Data for which the peer had to hear of an update will show a round trip.
    TimesUpdate,
    /// Its writer has stood in line for the session's send queue since the stream was last idle.
    Queued,
}

/// What a place of the table has for `fins` while it is free.
const VACANT: u8 = u8::MAX;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    /// Which stream of its table it is, counted from the first: the table's to set.
    pub(crate) serial: u32,
    /// The slot of the next stream of its chain: the table's, too.
    pub(super) chained: u32,
    flags: u32,
    /// FINs that have left.
    fins: u8,
    pub(crate) priority: Priority,
    /// A write was pending, for this.
    pub(crate) write_stall: Option<StallCause>,
    /// When that began, in milliseconds modulo 2^32.
    pub(crate) stalled_since: u32,
    pub(crate) recv: Recv,
    pub(crate) send: Send,
}

impl Stream {
    pub(crate) const fn new(id: StreamId, send_window: u32) -> Self {
        Self {
            id,
            serial: 0,
            chained: 0,
            flags: 0,
            fins: 0,
            priority: Priority::NORMAL,
            write_stall: None,
            stalled_since: 0,
            recv: Recv::new(),
            send: Send::new(send_window),
        }
    }

    /// Whether a write was pending.
    pub(crate) const fn write_waits(&self) -> bool {
        self.write_stall.is_some()
    }

    /// Whether a writer waits for room, or for all to leave.
    pub(crate) const fn writer_waits(&self) -> bool {
        self.write_waits() || self.has(Flag::SentWaits)
    }

    /// Whether its place in the table is free.
    pub(super) const fn is_vacant(&self) -> bool {
        self.fins == VACANT
    }

    pub(super) const fn vacate(&mut self) {
        self.fins = VACANT;
    }

    pub(crate) const fn has(&self, flag: Flag) -> bool {
        self.flags & (1 << flag as u32) != 0
    }

    pub(crate) const fn set(&mut self, flag: Flag) {
        self.flags |= 1 << flag as u32;
    }

    /// Sets all of these in one go.
    pub(crate) const fn set_all<const N: usize>(&mut self, flags: [Flag; N]) {
        self.flags |= mask(flags);
    }

    /// Clears all of these in one go.
    pub(crate) const fn clear_all<const N: usize>(&mut self, flags: [Flag; N]) {
        self.flags &= !mask(flags);
    }

    /// Clears some flags and sets others, in one go.
    pub(crate) const fn replace<const N: usize, const M: usize>(
        &mut self,
        these: [Flag; N],
        by: [Flag; M],
    ) {
        self.flags = self.flags & !mask(these) | mask(by);
    }

    /// Is passed over with nothing to send. Its writer may still stand in line.
    pub(super) const fn leave_round(&mut self) {
        let left = match self.write_stall {
            None => mask([Flag::InRound, Flag::Queued]),
            Some(_) => mask([Flag::InRound]),
        };
        self.flags &= !left;
    }

    /// Clears the flag and tells whether it was set.
    pub(crate) const fn clear(&mut self, flag: Flag) -> bool {
        let had = self.has(flag);
        self.flags &= !(1 << flag as u32);
        had
    }

    /// Whether any of these is so, in one test.
    pub(crate) const fn has_any<const N: usize>(&self, flags: [Flag; N]) -> bool {
        self.flags & mask(flags) != 0
    }

    /// Whether all of these are so, in one test.
    pub(crate) const fn has_all<const N: usize>(&self, flags: [Flag; N]) -> bool {
        let mask = mask(flags);
        self.flags & mask == mask
    }

    /// Whether the application has it: it was opened or accepted, and not closed.
    pub(crate) const fn is_held(&self) -> bool {
        self.has(Flag::Accepted) && !self.has(Flag::Closed)
    }

    /// Whether data that arrives now is kept for the reader.
    pub(crate) const fn takes_data(&self) -> bool {
        !self.has_any([
            Flag::PeerFinished,
            Flag::ReadStopped,
            Flag::Closed,
            Flag::Evicted,
        ])
    }

    /// Whether nothing can be written any more, while its session lasts.
    pub(crate) const fn writes_no_more(&self) -> bool {
        self.has_any([
            Flag::Evicted,
            Flag::Stopped,
            Flag::Finished,
            Flag::AckedTooMuch,
        ])
    }

    /// Whether a read would not be pending.
    pub(crate) const fn is_readable(&self) -> bool {
        !self.recv.queue.is_empty()
            || self.has(Flag::PeerFinished)
            || self.has(Flag::ReadStopped)
            || self.has(Flag::Evicted)
    }

    /// FINs to send once the queue is empty.
    pub(crate) const fn owed_fins(&self, half_close: bool) -> u8 {
        let reads_no_more = self.has(Flag::Closed) || self.has(Flag::Evicted);
        let total = if !self.has(Flag::Finished) {
            0
        } else if self.has(Flag::PeerFinished) {
            1
        } else if half_close {
            1 + reads_no_more as u8
        } else {
            reads_no_more as u8
        };
        total.saturating_sub(self.fins)
    }

    pub(crate) const fn has_sent_fin(&self) -> bool {
        self.fins > 0
    }

    pub(crate) const fn sent_fins(&mut self, fins: u8) {
        self.fins += fins;
    }

    /// Whether all that was written, FIN included, has been handed out.
    pub(crate) const fn is_sent(&self, half_close: bool) -> bool {
        self.send.queue.is_empty() && self.owed_fins(half_close) == 0 && !self.has(Flag::OwesSyn)
    }

    /// Whether neither side can send anything more, and all that came is read. The application may
    /// still hold it.
    pub(crate) const fn is_spent(&self, half_close: bool) -> bool {
        self.has_all([Flag::Accepted, Flag::Finished, Flag::PeerFinished])
            && self.recv.queue.is_empty()
            && self.is_sent(half_close)
    }

    const fn state(&self) -> StreamState {
        if self.has(Flag::Evicted) {
            return StreamState::Ended;
        }
        match (self.has(Flag::Finished), self.has(Flag::PeerFinished)) {
            (false, false) => StreamState::Open,
            (true, false) => StreamState::Finished,
            (false, true) => StreamState::PeerFinished,
            (true, true) => StreamState::Ended,
        }
    }

    pub(crate) const fn stats(&self, windows: bool) -> StreamStats {
        StreamStats {
            state: self.state(),
            priority: self.priority,
            bytes_received: self.recv.received,
            bytes_read: self.recv.read,
            bytes_written: self.send.written,
            bytes_sent: self.send.sent(),
            unread: self.recv.queue.len(),
            unsent: self.send.queue.len(),
            receive_window: if windows {
                self.recv.window() as usize
            } else {
                0
            },
            window_limit: WindowLimit::Demand,
            send_window: if windows { self.send.credit() } else { 0 },
            write_stall: self.write_stall,
            write_stall_time: Duration::ZERO,
        }
    }
}

const fn mask<const N: usize>(flags: [Flag; N]) -> u32 {
    let (mut mask, mut i) = (0, 0);
    while i < N {
        mask |= 1 << flags[i] as u32;
        i += 1;
    }
    mask
}
