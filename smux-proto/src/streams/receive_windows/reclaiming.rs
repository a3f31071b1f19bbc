//! Windows that are taken back from streams that do not need them.

use crate::streams::{recv::Recv, scheduler::Scheduler, stream::Flag, table::Table};

use super::{LONGEST_TRIP, LOOKS, Windows};

/// Round trips without an update after which a window is taken for unused,
const IDLE_TRIPS: u32 = 8;
/// and the least time, in microseconds.
const IDLE_LEAST: u32 = 100_000;

impl Windows {
    /// Whether windows can be reclaimed for streams that starve.
    pub(crate) const fn can_reclaim(&self) -> bool {
        self.starved_streams > 0 && (self.pressed || self.looks_left > 0)
    }

    /// Whether a stream starves, or windows are looked at for one.
    #[inline]
    pub(crate) const fn wants_relief(&self) -> bool {
        self.starved_streams > 0 || self.pressed || self.looks_left > 0
    }

    /// Whether there is nothing to reclaim, as far as is known.
    pub(super) fn is_exhausted(&self) -> bool {
        self.none_above.is_some_and(|base| base <= self.base())
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
    pub(super) fn reclaim(
        &mut self,
        slot: usize,
        table: &mut Table,
        scheduler: &mut Scheduler,
    ) -> bool {
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

    fn is_idle(&self, recv: &Recv) -> bool {
        let trip = self.round_trip.estimate().unwrap_or(LONGEST_TRIP);
        self.since(recv.period.start) >= trip.saturating_mul(IDLE_TRIPS).max(IDLE_LEAST)
    }

    /// Notes that a stream has this window now.
    pub(super) fn note_window(&mut self, window: usize) {
        if self.none_above.is_some_and(|base| window > base) {
            self.none_above = None;
        }
    }
}

/// Returns the slot to look at next.
pub(super) fn before(slot: usize, table: &Table) -> usize {
    let slots = table.slots();
    slot.min(slots)
        .checked_sub(1)
        .unwrap_or_else(|| slots.saturating_sub(1))
}
