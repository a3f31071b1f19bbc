//! What a stream makes of its window, and what that tells about the round trip.

use crate::{
    config::INITIAL_WINDOW,
    streams::stream::{Flag, Stream},
};

use super::{LONGEST_TRIP, Windows};

impl Windows {
    /// Returns the window that a stream should have, and whether its period is complete.
    pub(super) fn wanted(&self, due: u64, stream: &Stream) -> (usize, bool) {
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

    /// Takes the time of an arrival for a round trip if the peer had to wait for an update.
    #[inline]
    pub(super) fn time_arrival(&mut self, stream: &mut Stream) {
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
}
