//! Which stream sends data next.
//!
//! The streams of a level of [priority](Priority) take turns: deficit round robin in bytes,
//! where a turn is a frame of `max_frame_size`, or as much more or less as the stream's weight
//! says; several frames if [turns are long](crate::Transmit::set_long_turns). Frames can be cut
//! anywhere, so a backlogged stream uses its turn up and has no deficit.
//!
//! A stream that has had nothing to send for a whole round is fresh when it has something: it sends
//! one frame before the round goes on. So a small message waits for the batch that is under way,
//! and not for a frame of every other stream. After a frame a stream stays in the round, empty or
//! not, until its next turn: what sends all the time is never fresh. Only if no others than fresh
//! streams have anything to send, those that send all that they have do not enter the round: it
//! would end with them.
//!
//! Each step costs the same whatever the number of streams: an empty stream that is passed over has
//! sent a frame since it was passed over last.

use alloc::boxed::Box;

use crate::{
    priority::{Level, Priority},
    streams::{
        stream::{Flag, Stream},
        stream_queue::Ring,
        table::{Key, Table},
    },
};

/// Frames of fresh streams before one of the round: streams that are opened for one frame each must
/// not starve the others.
const MOST_FRESH: u8 = 32;

/// The streams that send data, by level.
#[derive(Debug, Default)]
pub(super) struct DataLanes {
    /// Of the usual level, which most sessions use alone.
    normal: Lane,
    /// Of the levels above and below, once they are used. Most sessions save their 192 bytes.
    others: Option<Box<[Lane; 2]>>,
    /// Streams that stand in any lane.
    members: usize,
    /// Streams whose priority is not the usual one.
    pub(super) ranked: u32,
    /// The bytes of a turn, if that is more than a frame.
    pub(super) long_turn: usize,
}

#[derive(Debug, Default)]
struct Lane {
    fresh: Ring,
    round: Ring,
    /// Streams of this lane that have data or owe a FIN.
    ready: u32,
    /// The stream whose turn it is, and how much of its turn is left.
    turn: Option<(Key, usize)>,
    /// Frames of fresh streams since the last one of the round.
    fresh_turns: u8,
}

impl DataLanes {
    pub(super) fn has_frames(&self) -> bool {
        let mut others = self.others.iter().flat_map(|others| others.iter());
        self.normal.ready > 0 || others.any(|lane| lane.ready > 0)
    }

    #[inline(always)]
    fn lane(&mut self, level: Level) -> &mut Lane {
        match level {
            Level::Normal => &mut self.normal,
            Level::High | Level::Low => self.other(level),
        }
    }

    #[cold]
    fn other(&mut self, level: Level) -> &mut Lane {
        let [high, low] = &mut **self.others.get_or_insert_with(Box::default);
        match level {
            Level::High => high,
            Level::Normal | Level::Low => low,
        }
    }

    /// Streams that have sent something in this round, or are about to.
    pub(super) const fn members(&self) -> usize {
        self.members
    }

    /// Notes that a stream has data or owes a FIN.
    // Inlined: most callers have a fresh stream, for which this is a few instructions.
    #[inline(always)]
    pub(super) fn owe(&mut self, key: Key, stream: &mut Stream) {
        if stream.has_any([Flag::OwesData, Flag::InFresh, Flag::InRound, Flag::Queued]) {
            return self.owe_again(key, stream);
        }
        stream.set_all([Flag::OwesData, Flag::InFresh]);
        let lane = self.lane(stream.priority.level());
        lane.ready += 1;
        lane.fresh.push(key);
        self.members += 1;
    }

    /// As [`owe`](Self::owe), for a stream that may not be fresh.
    fn owe_again(&mut self, key: Key, stream: &mut Stream) {
        if stream.has(Flag::OwesData) {
            return;
        }
        stream.set(Flag::OwesData);
        let lane = self.lane(stream.priority.level());
        lane.ready += 1;
        if !is_member(stream) {
            // What had to wait for room is no newcomer.
            stream.set(Flag::InRound);
            lane.round.push(key);
            self.members += 1;
        }
    }

    /// The streams that send next, in order, if no others than fresh ones have anything to send:
    /// all of them or the first. None if streams differ in priority.
    #[inline]
    pub(super) fn fresh_alone(&self) -> &[Key] {
        let lane = &self.normal;
        let are_alone = lane.ready > 0
            && lane.ready as usize == lane.fresh.len()
            && lane.fresh.is_clean()
            && self.ranked == 0
            && self.others.is_none();
        match are_alone {
            true => lane.fresh.front(),
            false => &[],
        }
    }

    /// So many of [`fresh_alone`](Self::fresh_alone), the first, have sent all that they had. They
    /// do not enter the round.
    #[inline]
    pub(super) fn left_alone(&mut self, count: u32) {
        let lane = &mut self.normal;
        lane.ready = lane.ready.saturating_sub(count);
        lane.fresh.drop_front(count);
        self.members = self.members.saturating_sub(count as usize);
    }

    /// The stream that sends next, and how many bytes of data it may send.
    #[inline]
    pub(super) fn next(&mut self, table: &mut Table, max_frame: usize) -> Option<(Key, usize)> {
        if self.members == 0 {
            return None;
        }
        if self.others.is_some() {
            return self.next_by_level(table, max_frame);
        }
        let turn = self.long_turn.max(max_frame);
        self.normal
            .next_or_end(table, max_frame, turn, &mut self.members)
    }

    #[inline(never)]
    fn next_by_level(&mut self, table: &mut Table, max_frame: usize) -> Option<(Key, usize)> {
        let turn = self.long_turn.max(max_frame);
        let [high, low] = &mut **self.others.as_mut()?;
        for lane in [high, &mut self.normal, low] {
            let next = lane.next_or_end(table, max_frame, turn, &mut self.members);
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Takes a stream out, because it is gone or about to change its level.
    pub(super) fn remove(&mut self, key: Key, stream: &Stream) {
        if is_member(stream) {
            self.members = self.members.saturating_sub(1);
        }
        let lane = self.lane(stream.priority.level());
        if stream.has(Flag::OwesData) {
            lane.ready = lane.ready.saturating_sub(1);
        }
        if lane.turn.is_some_and(|(whose, _)| whose == key) {
            lane.turn = None;
        }
    }

    /// A stream is gone that may still stand in a lane.
    pub(super) fn forget(&mut self, key: Key, stream: &Stream, table: &Table) {
        self.remove(key, stream);
        self.ranked -= u32::from(stream.priority != Priority::NORMAL);
        let lane = self.lane(stream.priority.level());
        for (ring, flag) in [
            (&mut lane.fresh, Flag::InFresh),
            (&mut lane.round, Flag::InRound),
        ] {
            if stream.has(flag) {
                ring.forget(|key| table.get(key).is_some_and(|stream| stream.has(flag)));
            }
        }
    }

    /// Changes a stream's priority, and its place with it if the level is another.
    pub(super) fn set_priority(&mut self, key: Key, stream: &mut Stream, priority: Priority) {
        self.ranked -= u32::from(stream.priority != Priority::NORMAL);
        self.ranked += u32::from(priority != Priority::NORMAL);
        let owes = stream.has(Flag::OwesData);
        if priority.level() == stream.priority.level() || !(owes || is_member(stream)) {
            stream.priority = priority;
            return;
        }
        self.remove(key, stream);
        let lane = self.lane(stream.priority.level());
        if stream.clear(Flag::InFresh) {
            lane.fresh.remove(key);
        }
        if stream.clear(Flag::InRound) {
            lane.round.remove(key);
        }
        stream.priority = priority;
        if stream.clear(Flag::OwesData) {
            self.owe(key, stream);
        }
    }

    pub(super) fn trim(&mut self) {
        self.normal.trim();
        // Then every stream is of the usual level, and none stands in the others.
        if self.ranked == 0 {
            self.others = None;
        }
        for lane in self.others.iter_mut().flat_map(|others| others.iter_mut()) {
            lane.trim();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            ranked: self.ranked,
            ..Self::default()
        };
    }
}

fn is_member(stream: &Stream) -> bool {
    stream.has_any([Flag::InFresh, Flag::InRound])
}

impl Lane {
    fn trim(&mut self) {
        self.fresh.trim();
        self.round.trim();
    }

    /// The stream that sends next. Without any, the round ends.
    #[inline]
    fn next_or_end(
        &mut self,
        table: &mut Table,
        max_frame: usize,
        turn: usize,
        members: &mut usize,
    ) -> Option<(Key, usize)> {
        if self.ready > 0 {
            if let Some(next) = self.next(table, max_frame, turn, members) {
                return Some(next);
            }
            // Nothing is in the lane any more: it has been cleared.
            self.ready = 0;
        }
        // No stream waits for a turn, so there is no round to keep.
        if !self.round.is_empty() {
            self.leave_round(table, members);
        }
        None
    }

    #[inline]
    fn next(
        &mut self,
        table: &mut Table,
        max_frame: usize,
        turn: usize,
        members: &mut usize,
    ) -> Option<(Key, usize)> {
        match self.next_fresh(table, max_frame, members) {
            None => self.next_after_fresh(table, max_frame, turn, members),
            next => next,
        }
    }

    // Out of line, so that what is above is inlined.
    #[inline(never)]
    fn next_after_fresh(
        &mut self,
        table: &mut Table,
        max_frame: usize,
        turn: usize,
        members: &mut usize,
    ) -> Option<(Key, usize)> {
        self.next_of_round(table, max_frame, turn, members)
            .or_else(|| {
                self.fresh_turns = 0;
                self.next_fresh(table, max_frame, members)
            })
    }

    /// Notes that a stream has its turn.
    #[inline]
    fn serve(&mut self, stream: &mut Stream) {
        stream.clear(Flag::OwesData);
        self.ready = self.ready.saturating_sub(1);
    }

    #[inline]
    fn next_fresh(
        &mut self,
        table: &mut Table,
        max_frame: usize,
        members: &mut usize,
    ) -> Option<(Key, usize)> {
        while self.fresh_turns < MOST_FRESH
            && let Some(key) = self.fresh.pop()
        {
            if let Some(stream) = table.get_mut(key)
                && stream.has(Flag::InFresh)
            {
                self.fresh_turns += 1;
                self.ready = self.ready.saturating_sub(1);
                if stream.has(Flag::Closed) && stream.send.queue.is_empty() {
                    // It goes with this turn: no entry of it is left behind in the round, to be
                    // passed over. That takes 140 instructions less to open and close a stream.
                    stream.clear_all([Flag::InFresh, Flag::OwesData]);
                    *members = members.saturating_sub(1);
                } else {
                    stream.replace([Flag::InFresh, Flag::OwesData], [Flag::InRound]);
                    self.round.push(key);
                }
                let most = match stream.priority == Priority::NORMAL {
                    true => max_frame,
                    false => stream.priority.turn(max_frame).min(max_frame),
                };
                return Some((key, most));
            }
        }
        None
    }

    fn next_of_round(
        &mut self,
        table: &mut Table,
        max_frame: usize,
        turn: usize,
        members: &mut usize,
    ) -> Option<(Key, usize)> {
        self.fresh_turns = 0;
        let goes_on = self.turn.take().filter(|&(key, _)| {
            let stream = table.get(key);
            stream.is_some_and(|stream| stream.has(Flag::OwesData))
        });
        let (key, left) = match goes_on {
            Some(turn) => turn,
            None => {
                let key = self.next_ready(table, members)?;
                self.round.push(key);
                (key, table[key].priority.turn(turn))
            }
        };
        self.serve(&mut table[key]);
        let most = left.min(max_frame);
        if left > most {
            self.turn = Some((key, left - most));
        }
        Some((key, most))
    }

    /// Takes the next stream of the round that has something to send. Those that have nothing
    /// leave.
    fn next_ready(&mut self, table: &mut Table, members: &mut usize) -> Option<Key> {
        let mut left = 0;
        self.round.pop_while(|key| {
            let Some(stream) = table.get_mut(key).filter(|s| s.has(Flag::InRound)) else {
                return true;
            };
            let is_idle = !stream.has(Flag::OwesData);
            if is_idle {
                stream.leave_round();
                left += 1;
            }
            is_idle
        });
        *members = members.saturating_sub(left);
        self.round.pop()
    }

    /// Empties the round of streams that have nothing to send.
    #[inline(never)]
    fn leave_round(&mut self, table: &mut Table, members: &mut usize) {
        self.turn = None;
        while self.next_ready(table, members).is_some() {}
    }
}
