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

use core::time::Duration;

use crate::{
    config::{Config, INITIAL_WINDOW},
    stats::WindowLimit,
    streams::recv::Recv,
    streams::round_trip::RoundTrip,
    streams::scheduler::Scheduler,
    streams::stream::{Flag, Stream},
    streams::stream_queue::Ring,
    streams::table::{Key, Table},
    wire::{StreamId, WindowUpdate},
};

/// Streams looked at by one call, so that no frame costs more than this.
const LOOKS: usize = 512;
/// Streams that the hand looks at for each that joins while the budget is committed, so that the
/// windows of all have come down to the base before there are twice as many.
const JOIN_LOOKS: usize = 8;
/// The part of the budget that grown windows leave to new streams.
const RESERVE: usize = 16;
/// The largest part of the budget that a stream has without demand.
const LARGEST_BASE: usize = 32;
/// Round trips without an update after which a window is taken for unused,
const IDLE_TRIPS: u32 = 8;
/// and the least time, in microseconds.
const IDLE_LEAST: u32 = 100_000;
/// Longer than any round trip, in microseconds.
const LONGEST_TRIP: u32 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Windows {
    budget: usize,
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

    /// Notes the time.
    pub(crate) fn advance_time(&mut self, now: Duration) {
        self.now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    }

    /// Returns what all streams hold within their windows or may still receive.
    pub(crate) const fn granted(&self) -> usize {
        self.granted
    }

    /// Returns what streams hold beyond their windows.
    pub(crate) const fn beyond(&self) -> usize {
        self.committed - self.granted
    }

    /// Returns the number of streams that have no window for want of budget.
    pub(crate) const fn starved_streams(&self) -> usize {
        self.starved_streams
    }

    /// Returns how often a stream was left without a window.
    pub(crate) const fn starvations(&self) -> u64 {
        self.starvations
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

    /// Returns the estimate of the round trip, if there is one.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.estimate()?;
        Some(Duration::from_micros(micros.into()))
    }

    /// Whether the smallest windows leave room for another stream of this id's side.
    pub(crate) const fn has_room(&self, id: StreamId) -> bool {
        (self.streams[parity(id)] + 1).saturating_mul(self.floor) <= self.budget
    }

    /// Whether windows can be reclaimed for streams that starve.
    pub(crate) const fn can_reclaim(&self) -> bool {
        self.starved_streams > 0 && (self.pressed || self.looks_left > 0)
    }

    /// Whether there is nothing to reclaim, as far as is known.
    fn is_exhausted(&self) -> bool {
        self.none_above.is_some_and(|base| base <= self.base())
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

    /// Reclaims windows for streams that want more than there is.
    pub(crate) fn relieve(&mut self, table: &mut Table, scheduler: &mut Scheduler) {
        if self.looks_left == 0 {
            if !core::mem::take(&mut self.pressed) || self.is_exhausted() {
                return;
            }
            self.looks_left = table.slots();
        }
        for _ in 0..LOOKS.min(self.looks_left) {
            self.looks_left -= 1;
            self.hand = before(self.hand, table);
            if self.reclaim(self.hand, table, scheduler) && self.starved_streams > 0 {
                self.looks_left = table.slots();
                self.grant_waiting(table, scheduler);
            }
        }
        if self.looks_left == 0 && self.starved_streams > 0 {
            self.none_above = Some(self.base());
        }
    }

    /// Cuts the window of the stream in this slot if it is not needed. Returns whether it did.
    fn reclaim(&mut self, slot: usize, table: &mut Table, scheduler: &mut Scheduler) -> bool {
        let base = self.base();
        let Some((key, stream)) = table.at_slot(slot) else {
            return false;
        };
        let window = stream.recv.window() as usize;
        if window <= base
            || stream.recv.is_used_up()
            || !stream.has(Flag::InWindows)
            || stream.has(Flag::PeerFinished)
        {
            return false;
        }
        let unused = stream.recv.received == 0 || self.is_idle(&stream.recv);
        let target = match unused {
            true => base,
            false if self.starved_streams > 0 => base.max(window / 2),
            false => return false,
        };
        self.set_window(target, key, stream, scheduler);
        true
    }

    /// Notes that a stream has this window now.
    fn note_window(&mut self, window: usize) {
        if self.none_above.is_some_and(|base| window > base) {
            self.none_above = None;
        }
    }

    fn is_idle(&self, recv: &Recv) -> bool {
        let trip = self.round_trip.estimate().unwrap_or(LONGEST_TRIP);
        self.since(recv.period.start) >= trip.saturating_mul(IDLE_TRIPS).max(IDLE_LEAST)
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
    fn allowed(&mut self, wanted: usize, key: Key, stream: &mut Stream) -> usize {
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
    const fn end_starving(&mut self, stream: &mut Stream) -> bool {
        let starved = stream.clear(Flag::InStarved);
        self.starved_streams -= starved as usize;
        starved
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
        let mark = stream.recv.told();
        self.note_window(window);
        let update = self.recount(stream, |recv| recv.announce(due, width(window)));
        if complete {
            stream.clear(Flag::TimesUpdate);
            if stream.recv.begin_period(self.clock(), mark) {
                stream.set(Flag::TimesUpdate);
            }
        }
        update
    }

    /// Returns the window that a stream should have, and whether its period is complete.
    fn wanted(&self, due: u64, stream: &Stream) -> (usize, bool) {
        let recv = &stream.recv;
        let window = recv.window() as usize;
        let elapsed = self.since(recv.period.start);
        let (grows, complete) = match self.round_trip.estimate() {
            Some(trip) => {
                let consumed = u64::from(recv.consumed_in_period(due));
                let is_over = elapsed >= trip;
                let in_a_trip = consumed.saturating_mul(trip.into());
                let half = window as u64 / 2;
                let grows = is_over && in_a_trip > half.saturating_mul(elapsed.into());
                (grows, is_over)
            }
            None => (
                false,
                !stream.has(Flag::TimesUpdate) || recv.is_past_mark() || elapsed > LONGEST_TRIP,
            ),
        };
        let wanted = match grows {
            true => (2 * window).max(INITIAL_WINDOW as usize),
            false => window,
        };
        (wanted.max(self.base()).min(self.largest), complete)
    }

    /// Notes that data arrives on a stream.
    pub(crate) fn on_arrival(&mut self, bytes: usize, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            self.time_arrival(stream);
            self.recount(stream, |recv| recv.received += bytes as u64);
        } else {
            stream.recv.received += bytes as u64;
        }
    }

    /// Takes the time of an arrival for a round trip if the peer had to wait for an update.
    fn time_arrival(&mut self, stream: &mut Stream) {
        let now = self.clock();
        let period = &mut stream.recv.period;
        let pause = now.wrapping_sub(core::mem::replace(&mut period.last_arrival, now));
        period.longest_pause = period.longest_pause.max(pause);
        let (pause, elapsed) = (period.longest_pause, now.wrapping_sub(period.start));
        if !stream.has(Flag::TimesUpdate) || !stream.recv.is_at_mark() || pause == 0 {
            return;
        }
        let least = match stream.has(Flag::Overran) {
            true => elapsed / 2,
            false => elapsed / 4,
        };
        if pause >= least {
            stream.clear(Flag::TimesUpdate);
            if elapsed <= LONGEST_TRIP {
                self.round_trip.sample(elapsed);
            }
        }
    }

    /// Notes that a read took bytes. [`grant_waiting`](Self::grant_waiting) is to follow.
    pub(crate) fn on_read(&mut self, bytes: usize, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            self.recount(stream, |recv| recv.read += bytes as u64);
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

/// Returns the slot to look at next.
fn before(slot: usize, table: &Table) -> usize {
    let slots = table.slots();
    slot.min(slots)
        .checked_sub(1)
        .unwrap_or_else(|| slots.saturating_sub(1))
}

const fn parity(id: StreamId) -> usize {
    (id.get() % 2) as usize
}

/// A window as it stands on the wire: budgets are below 2^31.
fn width(window: usize) -> u32 {
    u32::try_from(window).unwrap_or(u32::MAX >> 1)
}
