//! Which frame leaves next.
//!
//! Two lanes: control frames (NOP, SYN, UPD and refusals) of all streams first, a bounded share
//! of each batch; then data, byte-fair: a stream's turn is one frame of at most `max_frame_size`
//! bytes, into which small writes are merged. This is deficit round robin with the frame size as
//! the quantum; as frames can be cut anywhere, a backlogged stream always uses its turn up and
//! there is no deficit to carry over. Each step costs the same whatever the number of streams.

use alloc::collections::VecDeque;

use crate::{
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
    data: Ring,
    /// Refused streams of the peer, whose FIN is owed.
    refusals: VecDeque<StreamId>,
    /// Streams whose writer waits for room in the session's send queue.
    blocked: Ring,
}

impl Scheduler {
    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        for ring in [&mut self.control, &mut self.data, &mut self.blocked] {
            ring.trim();
        }
        self.refusals.shrink_to_fit();
    }

    pub(crate) fn has_frames(&self) -> bool {
        !(self.control.is_empty() && self.data.is_empty() && self.refusals.is_empty())
    }

    pub(crate) fn owe_control(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InControl) {
            stream.set(Flag::InControl);
            self.control.push(key);
        }
    }

    pub(crate) fn owe_data(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InData) {
            stream.set(Flag::InData);
            self.data.push(key);
        }
    }

    pub(crate) fn block(&mut self, key: Key, stream: &mut Stream) {
        if !stream.has(Flag::InBlocked) {
            stream.set(Flag::InBlocked);
            self.blocked.push(key);
        }
    }

    /// Whether somebody may wait for room in the session's queue.
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

    pub(crate) fn next_control(&mut self, table: &mut Table) -> Option<Key> {
        next(&mut self.control, table, Flag::InControl)
    }

    pub(crate) fn next_data(&mut self, table: &mut Table) -> Option<Key> {
        next(&mut self.data, table, Flag::InData)
    }

    pub(crate) fn next_blocked(&mut self, table: &mut Table) -> Option<Key> {
        next(&mut self.blocked, table, Flag::InBlocked)
    }

    /// A stream is gone that may still stand in the lanes.
    pub(crate) fn forget(&mut self, stream: &Stream, table: &Table) {
        let lanes = [
            (&mut self.control, Flag::InControl),
            (&mut self.data, Flag::InData),
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

/// The next stream of a lane, which then stands in it no more.
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
