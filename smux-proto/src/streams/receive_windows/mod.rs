//! Receive windows of version 2: they follow demand, and together keep to the receive budget.
//!
//! **Commitment.** A stream is committed for what it holds unread and what its peer may still send:
//! `max(told, received) − read`, where `told` is how far the last update lets the peer send. The
//! sum over all streams is exact: each call takes a stream's old share off and adds the new one.
//!
//! **The next window** is decided when an update is written:
//!
//! ```text
//! wanted = max(window, base), or twice that if more than half a window was read in a round trip
//! window = min(wanted, limit, max_stream_buffer); 0 if that is below the floor: the stream starves
//!
//! base   = budget / 4 / streams (rounded up to a power of two), at most max(256 KiB, budget / 32)
//! free   = budget − commitments of all other streams
//! limit  = max((free − budget / 16) / 2, min(base, free))
//! ```
//!
//! So a stream is given what keeps its link full, one round trip a doubling, and ends up with two
//! to four times what its reader takes in a round trip. One alone reaches 15/32 of the budget, and
//! n that want more than there is reach about budget / (n + 1) each: what a stream takes halves
//! what is left, so the streams need not be counted as active. The last sixteenth is for newcomers.
//!
//! **Demand** is judged by [periods](super::recv::Period). A period begins with an update and ends
//! with the first one that is written a [round trip](RoundTrip) later or more. What was read in it,
//! scaled to a round trip, is compared with half of the window. The round trip is the time from an
//! update to the first byte that the peer could not send before it heard of it. That time counts
//! only if a quarter of it was one pause of the stream: then the peer had run out of credit. If the
//! peer has sent more than it was allowed to before, half is asked for.
//!
//! **Joining.** Every peer may send 262 144 bytes before it hears of a window. A new stream counts
//! with as much if that fits into the budget and is no more than half of it. Otherwise unused
//! windows are reclaimed first, and the stream's peer is told early of what there is.
//!
//! **Reclaiming.** When a stream wants more than its limit, a hand goes once round the table, at
//! most [`LOOKS`] streams a batch. A window that was never used, or had no update for eight round
//! trips, is cut to the base. While streams starve, the hand halves those in use too, down to the
//! base, and goes on by itself until no stream starves or no window is above the base: from then on
//! only unread data stands in the way. Streams that starve wait in the only list there is, and each
//! byte that comes free is theirs first.

mod demand;
mod joining;
mod reclaiming;
mod starving;

use core::time::Duration;

use crate::{
    config::{Config, INITIAL_WINDOW},
    stats::WindowLimit,
    streams::recv::Recv,
    streams::round_trip::RoundTrip,
    streams::scheduler::Scheduler,
    streams::stream::{Flag, Stream},
    streams::stream_queue::Ring,
    streams::table::Key,
    wire::WindowUpdate,
};

/// Streams looked at by one call, so that no frame costs more than this.
const LOOKS: usize = 512;
/// The part of the budget that grown windows leave to new streams.
const RESERVE: usize = 16;
/// The largest part of the budget that a stream has without demand.
const LARGEST_BASE: usize = 32;
/// Longer than any round trip, in microseconds.
const LONGEST_TRIP: u32 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Windows {
    budget: usize,
    /// The budget of the configuration, which decides how many streams there may be.
    configured: usize,
    largest: usize,
    floor: usize,
    /// The sum of the streams' commitments,
    committed: usize,
    /// and of those within their windows: never more than the budget.
    granted: usize,
    /// Streams with a window, by the parity of their ids.
    streams: [usize; 2],
    /// Streams without a window for want of budget. Each has a flag that says so.
    starved: Ring,
    starved_streams: usize,
    /// Times that a stream began to starve.
    starvations: u64,
    /// Some stream wants more than its limit.
    pressed: bool,
    /// The slot at which reclaiming goes on,
    hand: usize,
    /// and the slots left of this round.
    looks_left: usize,
    /// The base for which a round found no window above it, until there is one again.
    none_above: Option<usize>,
    round_trip: RoundTrip,
    /// In microseconds.
    now: u64,
}

impl Windows {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            budget: config.max_receive_buffer(),
            configured: config.max_receive_buffer(),
            largest: config.max_stream_buffer(),
            floor: config.window_floor(),
            committed: 0,
            granted: 0,
            streams: [0; 2],
            starved: Ring::default(),
            starved_streams: 0,
            starvations: 0,
            pressed: false,
            hand: 0,
            looks_left: 0,
            none_above: None,
            round_trip: RoundTrip::default(),
            now: 0,
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.starved.trim();
    }

    /// Changes the budget. What is committed beyond a lower one is not renewed, and what streams do
    /// not use of it is reclaimed with the next batch.
    pub(crate) fn set_budget(&mut self, budget: usize) {
        self.pressed |= budget < self.budget && budget < self.committed;
        self.budget = budget;
    }

    /// Notes the time.
    pub(crate) fn advance_time(&mut self, now: Duration) {
        // `as_micros` divides numbers of 128 bits.
        let seconds = now.as_secs().saturating_mul(1_000_000);
        self.now = seconds.saturating_add(now.subsec_micros().into());
    }

    /// Returns what all streams hold within their windows or may still receive.
    pub(crate) const fn granted(&self) -> usize {
        self.granted
    }

    /// Returns what streams hold beyond their windows.
    pub(crate) const fn beyond(&self) -> usize {
        self.committed - self.granted
    }

    /// Returns what keeps a stream's window from being larger.
    pub(crate) fn limit_of(&self, stream: &Stream) -> WindowLimit {
        let window = stream.recv.window() as usize;
        if stream.has(Flag::InStarved) {
            WindowLimit::Starved
        } else if window >= self.largest {
            WindowLimit::StreamBuffer
        } else if window >= self.limit(stream) && stream.has(Flag::InWindows) {
            WindowLimit::ReceiveBuffer
        } else {
            WindowLimit::Demand
        }
    }

    /// The time that was told last, in milliseconds modulo 2^32.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) const fn now_millis(&self) -> u32 {
        (self.now / 1_000) as u32
    }

    /// Returns the estimate of the round trip, if there is one.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.estimate()?;
        Some(Duration::from_micros(micros.into()))
    }

    /// Changes a window of which the peer is then told.
    fn set_window(
        &mut self,
        window: usize,
        key: Key,
        stream: &mut Stream,
        scheduler: &mut Scheduler,
    ) {
        self.note_window(window);
        self.recount(stream, |recv| recv.set_window(width(window)));
        stream.set(Flag::OwesUpd);
        scheduler.owe_control(key, stream);
    }

    /// Returns the update to send now, with the window that the stream should have.
    pub(crate) fn announce(&mut self, key: Key, partial: u64, stream: &mut Stream) -> WindowUpdate {
        let due = stream.recv.due(partial);
        let (wanted, complete) = self.wanted(due, stream);
        // A starved stream is served in its turn.
        let window = match stream.has(Flag::InStarved) {
            true => 0,
            false => self.allowed(wanted, key, stream),
        };
        // Its steps are smaller: what is no whole step of the larger window must not stay unsaid,
        // for the peer may have nothing left to send that would be read and announced.
        let due = match width(window) < stream.recv.window() {
            true => stream.recv.consumed(partial),
            false => due,
        };
        let mark = stream.recv.told();
        self.note_window(window);
        let now = self.clock();
        let update = self.recount(stream, |recv| recv.announce(due, width(window), now));
        if complete {
            stream.clear(Flag::TimesUpdate);
            if stream.recv.begin_period(self.clock(), mark) {
                stream.set(Flag::TimesUpdate);
            }
        }
        update
    }

    /// Notes that data arrives on a stream.
    #[inline(always)]
    pub(crate) fn on_arrival(&mut self, bytes: usize, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            self.time_arrival(stream);
            self.committed += stream.recv.arrive(bytes);
        } else {
            stream.recv.received += bytes as u64;
        }
    }

    /// Notes that a read took bytes. [`grant_waiting`](Self::grant_waiting) is to follow.
    #[inline]
    pub(crate) fn on_read(&mut self, bytes: usize, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            self.committed -= bytes;
            self.granted -= stream.recv.consume(bytes);
        } else {
            stream.recv.read += bytes as u64;
        }
    }

    /// Ends the window of a stream that the peer has finished. It is committed for what is unread.
    pub(crate) fn end(&mut self, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            self.recount(stream, Recv::end_window);
        }
    }

    /// Changes what a stream is committed for.
    fn recount<R>(&mut self, stream: &mut Stream, change: impl FnOnce(&mut Recv) -> R) -> R {
        let recv = &mut stream.recv;
        let (committed, granted) = (recv.committed(), recv.granted());
        let result = change(recv);
        self.committed = self.committed - committed + recv.committed();
        self.granted = self.granted - granted + recv.granted();
        result
    }

    /// Returns the most that a stream may be committed for.
    fn limit(&self, stream: &Stream) -> usize {
        let others = self.committed.saturating_sub(stream.recv.committed());
        let free = self.budget.saturating_sub(others);
        let grown = free.saturating_sub(self.budget / RESERVE) / 2;
        grown.max(self.base().min(free))
    }

    const fn free(&self) -> usize {
        self.budget.saturating_sub(self.committed)
    }

    /// Returns the window that a stream has without demand.
    fn base(&self) -> usize {
        let share = self.budget / 4 / self.streams().next_power_of_two();
        let most = (self.budget / LARGEST_BASE).max(INITIAL_WINDOW as usize);
        share.min(most).max(self.floor()).min(self.largest)
    }

    /// Returns the smallest window: the setting, or less if there are more streams than that
    /// serves.
    fn floor(&self) -> usize {
        self.floor.min(self.budget / self.streams()).max(1)
    }

    /// Returns the number of streams with a window, at least 1.
    fn streams(&self) -> usize {
        (self.streams[0] + self.streams[1]).max(1)
    }

    /// Returns the time in microseconds modulo 2^32.
    #[allow(clippy::cast_possible_truncation)]
    const fn clock(&self) -> u32 {
        self.now as u32
    }

    const fn since(&self, moment: u32) -> u32 {
        self.clock().wrapping_sub(moment)
    }
}

/// A window as it stands on the wire: budgets are below 2^31.
fn width(window: usize) -> u32 {
    u32::try_from(window).unwrap_or(u32::MAX >> 1)
}
