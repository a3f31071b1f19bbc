//! Byte queues of all streams of a session, in pooled segments.
//!
//! A stream's queue is twelve bytes: the first and last segment and a length. The segments
//! themselves live in one arena per session, so a queue that fills and empties allocates nothing
//! once the arena and its pool are warm, and an idle stream holds no buffer at all.

use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, Bytes};

use crate::buffer::BufferPool;

/// Unused buffer bytes kept for reuse: enough for a few batches in each direction.
const POOL_LIMIT: usize = 1 << 20;
/// Smallest segment: a one-byte message does not cost more than this.
const MIN_SEGMENT: usize = 64;
/// Largest segment, unless frames are smaller than it or up to twice as large.
pub(crate) const SEGMENT: usize = 1 << 15;
/// Shorter pieces are copied: an entry in the arena would cost more than a copy.
const SHARED: usize = 128;
/// "No segment".
const NIL: u32 = u32::MAX;

/// Bytes in the order they came, at most 2^32 − 1 of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            head: NIL,
            tail: NIL,
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Part of a queue: a pooled buffer, or bytes that the user handed over.
pub(crate) enum Segment {
    Pooled { buffer: Vec<u8>, start: usize },
    Shared(Bytes),
}

impl Segment {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Pooled { buffer, start } => buffer.get(*start..).unwrap_or_default(),
            Self::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn advance(&mut self, count: usize) {
        match self {
            Self::Pooled { buffer, start } => *start = (*start + count).min(buffer.len()),
            Self::Shared(bytes) => bytes.advance(count.min(bytes.len())),
        }
    }
}

struct Node {
    segment: Segment,
    next: u32,
}

/// The segments of all queues of a session.
pub(crate) struct Segments {
    nodes: slab::Slab<Node>,
    pool: BufferPool,
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
            .field("unused_bytes", &self.pool.held())
            .finish_non_exhaustive()
    }
}

impl Segments {
    pub(crate) fn new() -> Self {
        Self {
            nodes: slab::Slab::new(),
            pool: BufferPool::new(POOL_LIMIT),
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
    /// New segments grow with the queue, so that neither many small pieces nor one small piece
    /// waste memory: all segments but the last are full, and the last is no larger than the rest
    /// and the data together (or twice the data).
    pub(crate) fn push(&mut self, queue: &mut Queue, mut data: &[u8], limit: usize) {
        let added = data.len();
        if let Some(Node {
            segment: Segment::Pooled { buffer, .. },
            ..
        }) = self.nodes.get_mut(queue.tail as usize)
        {
            let room = buffer.capacity().min(limit).saturating_sub(buffer.len());
            let (now, later) = data.split_at(room.min(data.len()));
            buffer.extend_from_slice(now);
            data = later;
        }
        let mut held = queue.len() + added - data.len();
        while !data.is_empty() {
            let size = segment_size(held, data.len()).min(limit);
            let (now, later) = data.split_at(size.min(data.len()));
            let mut buffer = self.buffer(size);
            buffer.extend_from_slice(now);
            self.link(queue, Segment::Pooled { buffer, start: 0 });
            held += now.len();
            data = later;
        }
        queue.len += length(added);
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
        queue.len += length(count);
        self.link(queue, Segment::Shared(data.split_to(count)));
    }

    /// The first segment's bytes; empty if the queue is.
    pub(crate) fn front(&self, queue: &Queue) -> &[u8] {
        self.nodes
            .get(queue.head as usize)
            .map_or(&[], |node| node.segment.as_slice())
    }

    /// Drops the first `count` bytes, at most all of the first segment. A segment of which less
    /// than half is left moves to a smaller buffer, so that a queue holds at most twice its bytes.
    pub(crate) fn advance(&mut self, queue: &mut Queue, count: usize) {
        let Some(node) = self.nodes.get_mut(queue.head as usize) else {
            return;
        };
        let count = count.min(node.segment.as_slice().len());
        queue.len -= length(count);
        node.segment.advance(count);
        if node.segment.as_slice().is_empty() {
            self.drop_front(queue);
        } else {
            self.shrink_front(queue);
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
        self.unlink(queue)
    }

    /// Takes the first `max` bytes of the first segment, or all of it; the part that is shorter is copied.
    pub(crate) fn split_front(&mut self, queue: &mut Queue, max: usize) -> Option<Segment> {
        if let Some(segment) = self.pop_whole(queue, max) {
            return Some(segment);
        }
        let node = self.nodes.get_mut(queue.head as usize)?;
        queue.len -= length(max);
        if let Segment::Shared(bytes) = &mut node.segment {
            return Some(Segment::Shared(bytes.split_to(max)));
        }
        let rest = node.segment.as_slice().len() - max;
        let size = max.min(rest);
        let mut copy = take(&mut self.pool, size.max(MIN_SEGMENT));
        if max <= rest {
            copy.extend_from_slice(&node.segment.as_slice()[..max]);
            node.segment.advance(max);
            self.shrink_front(queue);
            return Some(Segment::Pooled {
                buffer: copy,
                start: 0,
            });
        }
        copy.extend_from_slice(&node.segment.as_slice()[max..]);
        let rest = Segment::Pooled {
            buffer: copy,
            start: 0,
        };
        let mut front = core::mem::replace(&mut node.segment, rest);
        if let Segment::Pooled { buffer, start } = &mut front {
            buffer.truncate(*start + max);
        }
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

    /// Takes a spent buffer back into the pool.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        // A buffer that is not of the pool's kind (there are none) would just be freed.
        drop(self.pool.put(buffer));
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.pool.clear();
        if self.nodes.is_empty() {
            self.nodes = slab::Slab::new();
        }
    }

    fn buffer(&mut self, size: usize) -> Vec<u8> {
        take(&mut self.pool, size)
    }

    /// Moves the first segment to a smaller buffer if less than half of its own is in use.
    fn shrink_front(&mut self, queue: &Queue) {
        let Some(Node { segment, .. }) = self.nodes.get_mut(queue.head as usize) else {
            return;
        };
        let left = segment.as_slice().len();
        let Segment::Pooled { buffer, .. } = segment else {
            return;
        };
        if left >= buffer.capacity() / 2 || buffer.capacity() <= MIN_SEGMENT {
            return;
        }
        let mut buffer = take(&mut self.pool, left.max(MIN_SEGMENT));
        buffer.extend_from_slice(segment.as_slice());
        let old = core::mem::replace(segment, Segment::Pooled { buffer, start: 0 });
        if let Segment::Pooled { buffer, .. } = old {
            self.recycle(buffer);
        }
    }

    fn link(&mut self, queue: &mut Queue, segment: Segment) {
        let index = index(self.nodes.insert(Node { segment, next: NIL }));
        match self.nodes.get_mut(queue.tail as usize) {
            Some(tail) => tail.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
    }

    fn unlink(&mut self, queue: &mut Queue) -> Option<Segment> {
        let node = self.nodes.try_remove(queue.head as usize)?;
        queue.head = node.next;
        if queue.head == NIL {
            queue.tail = NIL;
        }
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

fn take(pool: &mut BufferPool, size: usize) -> Vec<u8> {
    // Sizes are at most 65 536 by construction; a plain vector would do as well.
    pool.get(size).unwrap_or_else(|| Vec::with_capacity(size))
}

/// Capacity of the next segment of a queue that holds `held` bytes when `more` are to be added.
fn segment_size(held: usize, more: usize) -> usize {
    let grown = (held + more + 1).next_power_of_two() / 2;
    more.next_power_of_two()
        .min(1 << 16)
        .max(grown.min(SEGMENT))
        .max(MIN_SEGMENT)
}

/// A count of bytes in one queue: what a queue can hold is bounded far below 2^32 by its callers.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// An arena index: 2^32 segments of at least 64 bytes do not fit in the limits that callers keep.
fn index(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(NIL)
}
