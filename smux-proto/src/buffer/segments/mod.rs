//! Byte queues of all streams of a session, in pooled segments.
//!
//! A stream's queue is sixteen bytes: the first and last segment, a length and its cost. The
//! segments themselves live in one arena per session, in buffers that a source lends to all
//! sessions: a queue that fills and empties allocates nothing once the arena and the source are
//! warm, and an idle stream holds no buffer at all.
//!
//! A queue's buffers and arena entries take at most twice its bytes and a [slack](queue). Each call
//! that changes a queue compares the two numbers, and moves bytes to smaller buffers in the rare
//! case that they are apart. That is always enough, for only the first and the last segment can be
//! less than half full: a segment in between was filled, or trimmed when bytes of the user's were
//! queued behind it.

mod queue;
mod segment;

pub(crate) use queue::{Queue, SEGMENT, segment_limit};
pub(crate) use segment::Segment;

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use bytes::{Buf, Bytes};

use crate::buffer::BufferSource;

use queue::{MIN_SEGMENT, NIL, length, segment_size};

/// Shorter pieces are copied: an entry in the arena would cost more than a copy.
const SHARED: usize = 128;
/// Unused entries of the arena that are not worth the work of giving them up.
const SPARE_ENTRIES: usize = 4;

struct Node {
    segment: Segment,
    next: u32,
    /// What it adds to its queue's cost.
    cost: u32,
}

impl Node {
    fn replace(&mut self, queue: &mut Queue, segment: Segment) -> Segment {
        queue.cost -= self.cost;
        self.cost = segment.cost();
        queue.cost += self.cost;
        core::mem::replace(&mut self.segment, segment)
    }
}

/// The segments of all queues of a session.
pub(crate) struct Segments {
    nodes: slab::Slab<Node>,
    /// Of unused buffers; without one, the allocator.
    source: Option<Arc<dyn BufferSource>>,
    /// Bytes of the user that were discarded. Dropping them runs their owner's code, which the
    /// poll layer must not do under its lock.
    #[cfg(feature = "poll")]
    released: Vec<Bytes>,
    #[cfg(feature = "poll")]
    keeps_released: bool,
}

/// Without the data, which is the user's and does not belong in logs.
impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments")
            .field("segments", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl Segments {
    pub(crate) fn new() -> Self {
        Self {
            nodes: slab::Slab::new(),
            source: None,
            #[cfg(feature = "poll")]
            released: Vec::new(),
            #[cfg(feature = "poll")]
            keeps_released: false,
        }
    }

    /// From now on keeps discarded bytes of the user until they are taken.
    #[cfg(feature = "poll")]
    pub(crate) fn keep_released(&mut self) {
        self.keeps_released = true;
    }

    /// Discarded bytes of the user, for the caller to drop.
    #[cfg(feature = "poll")]
    pub(crate) const fn released(&mut self) -> &mut Vec<Bytes> {
        &mut self.released
    }

    /// Appends a copy of `data`. Segments are filled up to `limit` bytes, a fixed number per queue.
    ///
    /// New segments grow with the queue as far as its [cost](Queue::spare) allows, so that neither
    /// many small pieces nor one small piece waste memory.
    pub(crate) fn push(&mut self, queue: &mut Queue, mut data: &[u8], limit: usize) {
        if let Some(Node {
            segment: Segment::Pooled { buffer, .. },
            ..
        }) = self.nodes.get_mut(queue.tail as usize)
        {
            let room = buffer.capacity().min(limit).saturating_sub(buffer.len());
            let (now, later) = data.split_at(room.min(data.len()));
            buffer.extend_from_slice(now);
            queue.len += length(now.len());
            data = later;
        }
        while !data.is_empty() {
            let size = segment_size(queue, data.len()).min(limit);
            let (now, later) = data.split_at(size.min(data.len()));
            let mut buffer = take(self.source.as_deref(), size);
            buffer.extend_from_slice(now);
            self.link(queue, Segment::Pooled { buffer, start: 0 });
            queue.len += length(now.len());
            data = later;
        }
        self.settle(queue);
    }

    /// Appends the first `count` bytes of `data` and advances it past them; without a copy unless
    /// they are few. `limit` as in [`push`](Self::push).
    ///
    /// No reference to `data` is dropped: its owner may run any code then.
    pub(crate) fn push_shared(
        &mut self,
        queue: &mut Queue,
        data: &mut Bytes,
        count: usize,
        limit: usize,
    ) {
        if count < SHARED {
            self.push(queue, &data[..count], limit);
            data.advance(count);
            return;
        }
        // It will not be filled any more.
        self.tighten(queue, queue.tail);
        queue.len += length(count);
        self.link(queue, Segment::Shared(data.split_to(count)));
        self.settle(queue);
    }

    /// The first segment's bytes; empty if the queue is.
    pub(crate) fn front(&self, queue: &Queue) -> &[u8] {
        self.nodes
            .get(queue.head as usize)
            .map_or(&[], |node| node.segment.as_slice())
    }

    /// Drops the first `count` bytes, at most all of the first segment.
    pub(crate) fn advance(&mut self, queue: &mut Queue, count: usize) {
        let Some(node) = self.nodes.get_mut(queue.head as usize) else {
            return;
        };
        let count = count.min(node.segment.as_slice().len());
        queue.len -= length(count);
        node.segment.advance(count);
        if node.segment.as_slice().is_empty() {
            self.drop_front(queue);
        }
        if !queue.is_empty() {
            self.settle(queue);
        }
    }

    /// Takes the first segment if it holds at most `max` bytes.
    pub(crate) fn pop_whole(&mut self, queue: &mut Queue, max: usize) -> Option<Segment> {
        let len = self
            .nodes
            .get(queue.head as usize)?
            .segment
            .as_slice()
            .len();
        if len > max {
            return None;
        }
        queue.len -= length(len);
        let segment = self.unlink(queue)?;
        if !queue.is_empty() {
            self.settle(queue);
        }
        Some(segment)
    }

    /// Takes the first `max` bytes of the first segment, or all of it; the part that is shorter is
    /// copied.
    pub(crate) fn split_front(&mut self, queue: &mut Queue, max: usize) -> Option<Segment> {
        if let Some(segment) = self.pop_whole(queue, max) {
            return Some(segment);
        }
        let node = self.nodes.get_mut(queue.head as usize)?;
        queue.len -= length(max);
        if let Segment::Shared(bytes) = &mut node.segment {
            return Some(Segment::Shared(bytes.split_to(max)));
        }
        let left = node.segment.as_slice().len() - max;
        let mut copy = take(self.source.as_deref(), max.min(left).max(MIN_SEGMENT));
        let front = if max <= left {
            copy.extend_from_slice(&node.segment.as_slice()[..max]);
            node.segment.advance(max);
            Segment::Pooled {
                buffer: copy,
                start: 0,
            }
        } else {
            copy.extend_from_slice(&node.segment.as_slice()[max..]);
            let rest = Segment::Pooled {
                buffer: copy,
                start: 0,
            };
            let mut front = node.replace(queue, rest);
            if let Segment::Pooled { buffer, start } = &mut front {
                buffer.truncate(*start + max);
            }
            front
        };
        self.settle(queue);
        Some(front)
    }

    /// Empties a queue and tells how many bytes it held.
    pub(crate) fn clear(&mut self, queue: &mut Queue) -> usize {
        let len = queue.len();
        while queue.head != NIL {
            self.drop_front(queue);
        }
        queue.len = 0;
        len
    }

    /// Takes buffers from `source` from now on, and gives them back there.
    pub(crate) fn set_source(&mut self, source: Arc<dyn BufferSource>) {
        self.source = Some(source);
    }

    /// Gives a spent buffer back.
    pub(crate) fn recycle(&self, buffer: Vec<u8>) {
        if let Some(source) = &self.source {
            source.put(buffer);
        }
    }

    /// Whether so many entries of the arena are unused that [`compact`](Self::compact) is worth its
    /// walk over the table, which has so many places. With one entry for each of them the arena may
    /// stay as it is.
    pub(crate) fn is_sparse(&self, streams: usize) -> bool {
        let used = self.nodes.len();
        self.nodes.capacity() > used + used / 4 + streams + streams / 8 + SPARE_ENTRIES
    }

    /// Moves all segments to an arena that has room for them and no more. `queues` are all that
    /// have any.
    #[cold]
    pub(crate) fn compact<'a>(&mut self, queues: impl Iterator<Item = &'a mut Queue>) {
        let mut arena = slab::Slab::with_capacity(self.nodes.len());
        core::mem::swap(&mut arena, &mut self.nodes);
        if arena.is_empty() {
            return;
        }
        for queue in queues {
            let mut next = queue.head;
            *queue = Queue {
                len: queue.len,
                ..Queue::new()
            };
            while let Some(node) = arena.try_remove(next as usize) {
                next = node.next;
                self.link(queue, node.segment);
            }
        }
    }

    /// Sees to it that a queue takes no more than it may.
    #[inline]
    fn settle(&mut self, queue: &mut Queue) {
        if queue.spare() < 0 {
            self.shrink(queue);
        }
    }

    /// Moves what stands at either end of a queue to smaller buffers.
    #[cold]
    fn shrink(&mut self, queue: &mut Queue) {
        self.tighten(queue, queue.head);
        if queue.spare() < 0 {
            self.tighten(queue, queue.tail);
        }
        debug_assert!(queue.spare() >= 0, "{queue:?}");
    }

    /// Moves a segment to a smaller buffer if its own is less than half full.
    fn tighten(&mut self, queue: &mut Queue, index: u32) {
        let Some(node) = self.nodes.get_mut(index as usize) else {
            return;
        };
        let Some(size) = node.segment.fitting() else {
            return;
        };
        let mut buffer = take(self.source.as_deref(), size);
        buffer.extend_from_slice(node.segment.as_slice());
        let old = node.replace(queue, Segment::Pooled { buffer, start: 0 });
        if let Segment::Pooled { buffer, .. } = old {
            self.recycle(buffer);
        }
    }

    #[inline]
    fn link(&mut self, queue: &mut Queue, segment: Segment) {
        let cost = segment.cost();
        queue.cost += cost;
        // Doubling would leave up to half of the arena unused.
        if self.nodes.len() == self.nodes.capacity() {
            self.grow();
        }
        let next = NIL;
        let index = index(self.nodes.insert(Node {
            segment,
            next,
            cost,
        }));
        match self.nodes.get_mut(queue.tail as usize) {
            Some(tail) => tail.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
    }

    #[cold]
    fn grow(&mut self) {
        self.nodes.reserve_exact((self.nodes.len() / 8).max(4));
    }

    #[inline]
    fn unlink(&mut self, queue: &mut Queue) -> Option<Segment> {
        let node = self.nodes.try_remove(queue.head as usize)?;
        queue.head = node.next;
        if queue.head == NIL {
            queue.tail = NIL;
        }
        queue.cost -= node.cost;
        Some(node.segment)
    }

    fn drop_front(&mut self, queue: &mut Queue) {
        match self.unlink(queue) {
            Some(Segment::Pooled { buffer, .. }) => self.recycle(buffer),
            Some(Segment::Shared(bytes)) => self.release(bytes),
            None => {}
        }
    }

    #[cfg(feature = "poll")]
    fn release(&mut self, bytes: Bytes) {
        if self.keeps_released {
            self.released.push(bytes);
        }
    }

    #[cfg(not(feature = "poll"))]
    #[allow(clippy::unused_self, reason = "as with the poll layer")]
    fn release(&mut self, bytes: Bytes) {
        drop(bytes);
    }
}

fn take(source: Option<&dyn BufferSource>, size: usize) -> Vec<u8> {
    // Sizes are at most 65 536 by construction; a plain vector would do as well.
    let Some(source) = source else {
        return Vec::with_capacity(size.next_power_of_two());
    };
    let mut buffer = source.get(size);
    buffer.clear();
    buffer
}

/// An arena index: 2^32 segments of at least 64 bytes do not fit in the limits that callers keep.
fn index(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(NIL)
}
