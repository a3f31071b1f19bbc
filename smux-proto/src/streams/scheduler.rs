//! Which frame leaves next: control frames (NOP, SYN, UPD and refusals) of all streams first, a
//! bounded share of each batch; then [data](super::data_lanes).

use alloc::collections::VecDeque;

use crate::{
    priority::Priority,
    streams::data_lanes::DataLanes,
    streams::stream::{Flag, Stream},
    streams::stream_queue::Ring,
    streams::table::{Key, Table},
    wire::StreamId,
};

#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// Streams that owe a SYN or an UPD.
    control: Ring,
    /// Streams that have data or owe a FIN.
    data: DataLanes,
    /// Refused streams of the peer, whose FIN is owed.
    refusals: VecDeque<StreamId>,
    /// Streams whose writer waits for room in the session's send queue.
    blocked: Ring,
}

impl Scheduler {
    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.control.trim();
        self.data.trim();
        self.blocked.trim();
        self.refusals.shrink_to_fit();
    }

    pub(crate) fn has_frames(&self) -> bool {
        self.data.has_frames() || self.owes_control()
    }

    /// Whether a SYN, an UPD or a refusal is owed.
    #[inline]
    pub(crate) fn owes_control(&self) -> bool {
        !(self.control.is_empty() && self.refusals.is_empty())
    }

    /// Whether nothing waits in any queue, and no round has to end.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.data.members() == 0
            && self.control.is_empty()
            && self.refusals.is_empty()
            && self.blocked.is_empty()
    }

    pub(crate) fn owe_control(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InControl) {
            stream.set(Flag::InControl);
            self.control.push(key);
        }
    }

    #[inline(always)]
    pub(crate) fn owe_data(&mut self, key: Key, stream: &mut Stream) {
        self.data.owe(key, stream);
    }

    pub(crate) fn set_priority(&mut self, key: Key, stream: &mut Stream, priority: Priority) {
        self.data.set_priority(key, stream, priority);
    }

    /// Sets how many bytes a stream may send in its turn, if that is more than a frame.
    pub(crate) fn set_turn(&mut self, bytes: usize) {
        self.data.long_turn = if self.has_ranks() { 0 } else { bytes };
    }

    /// Whether streams differ in their priority.
    pub(crate) const fn has_ranks(&self) -> bool {
        self.data.ranked > 0
    }

    /// Streams that share the session's send queue: they have sent something in this round, or are
    /// about to.
    pub(crate) const fn senders(&self) -> usize {
        self.data.members()
    }

    pub(crate) fn block(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InBlocked) {
            stream.set(Flag::InBlocked);
            stream.set(Flag::Queued);
            self.blocked.push(key);
        }
    }

    /// As [`block`](Self::block), at the front of the line.
    pub(crate) fn block_first(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InBlocked) {
            stream.set(Flag::InBlocked);
            stream.set(Flag::Queued);
            self.blocked.push_front(key);
        }
    }

    /// Whether a writer may wait for room in the session's queue.
    pub(crate) fn has_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    pub(crate) fn refuse(&mut self, id: StreamId) {
        self.refusals.push_back(id);
    }

    pub(crate) fn owed_refusals(&self) -> usize {
        self.refusals.len()
    }

    pub(crate) fn next_refusal(&mut self) -> Option<StreamId> {
        self.refusals.pop_front()
    }

    #[inline]
    pub(crate) fn next_control(&mut self, table: &mut Table) -> Option<Key> {
        next(&mut self.control, table, Flag::InControl)
    }

    /// See [`DataLanes::fresh_alone`].
    #[inline]
    pub(crate) fn fresh_alone(&self) -> &[Key] {
        self.data.fresh_alone()
    }

    /// See [`DataLanes::left_alone`].
    #[inline]
    pub(crate) fn left_alone(&mut self, count: u32) {
        self.data.left_alone(count);
    }

    /// The stream that sends data next, and how many bytes it may send.
    #[inline]
    pub(crate) fn next_data(
        &mut self,
        table: &mut Table,
        max_frame: usize,
    ) -> Option<(Key, usize)> {
        self.data.next(table, max_frame)
    }

    pub(crate) fn next_blocked(&mut self, table: &mut Table) -> Option<Key> {
        next(&mut self.blocked, table, Flag::InBlocked)
    }

    /// A stream is gone that may still stand in the lanes.
    pub(crate) fn forget(&mut self, key: Key, stream: &Stream, table: &Table) {
        self.data.forget(key, stream, table);
        let lanes = [
            (&mut self.control, Flag::InControl),
            (&mut self.blocked, Flag::InBlocked),
        ];
        for (lane, flag) in lanes {
            if stream.has(flag) {
                lane.forget(|key| table.get(key).is_some_and(|stream| stream.has(flag)));
            }
        }
    }

    /// Forgets everything: nothing will be sent any more.
    pub(crate) fn clear(&mut self) {
        self.control.clear();
        self.data.clear();
        self.blocked.clear();
        self.refusals = VecDeque::new();
    }
}

/// Pops the next queued stream of a lane.
#[inline]
fn next(lane: &mut Ring, table: &mut Table, flag: Flag) -> Option<Key> {
    while let Some(key) = lane.pop() {
        if let Some(stream) = table.get_mut(key)
            && stream.has(flag)
        {
            stream.clear(flag);
            return Some(key);
        }
    }
    None
}
