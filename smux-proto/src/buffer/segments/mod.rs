//! Byte queues of all streams of a session, in pooled segments.
//!
//! A stream's queue is sixteen bytes: the first and last segment, a length and its cost. The
//! segments themselves live in one arena per session: small ones in its entries, others in buffers
//! that a source lends to all sessions. A queue that fills and empties allocates nothing once the
//! arena and the source are warm, and an idle stream holds no buffer at all.
//!
//! A queue's buffers and arena entries take at most twice its bytes and a [slack](queue). Each call
//! that changes a queue compares the two numbers, and moves bytes to smaller buffers in the rare
//! case that they are apart. That is always enough, for only the first and the last segment can be
//! less than half full: a segment in between was filled, or trimmed when bytes of the user's were
//! queued behind it.

mod arena;
mod queue;
mod segment;

pub(crate) use queue::{INLINE, Queue, SEGMENT, segment_limit};
pub(crate) use segment::Segment;

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use bytes::{Buf, Bytes};

use crate::buffer::{Buffer, BufferSource};

use arena::Arena;
#[cfg(feature = "poll")]
use queue::ENTRY;
use queue::{NIL, length, segment_size};
use segment::{Content, Inline};

/// Shorter pieces are copied: an entry in the arena would cost more than a copy.
const SHARED: usize = 128;
/// Unused entries of the arena that are not worth the work of giving them up.
const SPARE_ENTRIES: usize = 6;

/// The segments of all queues of a session.
pub(crate) struct Segments {
    nodes: Arena,
    /// Of unused buffers; without one, the allocator.
    source: Option<Arc<dyn BufferSource>>,
    /// Bytes of the user that were discarded. Dropping them runs their owner's code, which the
    /// poll layer must not do under its lock.
    #[cfg(feature = "poll")]
    released: Vec<Bytes>,
    #[cfg(feature = "poll")]
    keeps_released: bool,
}

/// A small message that was all of its queue.
///
/// The array is there to be copied as a whole, which is eight moves. A copy of as many bytes as the
/// message has is a call, of 20 instructions and more.
pub(crate) struct Small<'a> {
    /// The message, with what there is behind it.
    pub(crate) bytes: &'a [u8; INLINE],
    pub(crate) length: usize,
}

impl Small<'_> {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
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
            nodes: Arena::new(),
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
    #[inline]
    pub(crate) fn push(&mut self, queue: &mut Queue, data: &[u8], limit: usize) {
        if queue.is_empty() && is_small(data.len()) {
            self.push_small(queue, data);
        } else {
            self.push_more(queue, data, limit);
        }
    }

    /// Appends a copy of a [small](is_small) message to a queue that is empty.
    #[inline(always)]
    pub(crate) fn push_small(&mut self, queue: &mut Queue, data: &[u8]) {
        let index = self.nodes.insert_copy(data);
        *queue = Queue::of_one(index, data.len(), Inline::COST);
    }

    /// As [`push_small`](Self::push_small), of the first `count` bytes of a block.
    #[inline(always)]
    pub(crate) fn push_block(&mut self, queue: &mut Queue, block: &[u8; INLINE], count: usize) {
        let index = self.nodes.insert_block(block, count);
        *queue = Queue::of_one(index, count, Inline::COST);
    }

    /// Appends a copy of a small message behind the last segment's bytes, if it fits there.
    /// `limit` as in [`push`](Self::push). Returns whether it did.
    #[inline]
    pub(crate) fn append_small(&mut self, queue: &mut Queue, data: &[u8], limit: usize) -> bool {
        let tail = self.nodes.get_mut(queue.tail);
        let Some(Content::Segment(Segment::Pooled { buffer, .. })) =
            tail.map(|node| &mut node.content)
        else {
            return false;
        };
        let fits = buffer.len() + data.len() <= buffer.capacity().min(limit);
        if fits {
            buffer.append(data);
            // More bytes in the same buffer: it costs no more than before.
            queue.len += length(data.len());
        }
        fits
    }

    fn push_more(&mut self, queue: &mut Queue, data: &[u8], limit: usize) {
        let filled = self.fill_tail(queue, data, limit);
        queue.len += length(filled);
        let mut data = &data[filled..];
        while !data.is_empty() {
            let size = segment_size(queue, data.len()).min(limit);
            let (now, later) = data.split_at(size.min(data.len()));
            let content = copy(self.source.as_deref(), now, size);
            self.link(queue, content);
            queue.len += length(now.len());
            data = later;
        }
        self.settle(queue);
    }

    /// Copies what fits behind the last segment's bytes. Returns how much that is.
    fn fill_tail(&mut self, queue: &Queue, data: &[u8], limit: usize) -> usize {
        let tail = self.nodes.get_mut(queue.tail);
        match tail.map(|node| &mut node.content) {
            Some(Content::Inline(inline)) => inline.fill(data),
            Some(Content::Segment(Segment::Pooled { buffer, .. })) => {
                let room = buffer.capacity().min(limit).saturating_sub(buffer.len());
                let count = room.min(data.len());
                buffer.append_block(&data[..count]);
                count
            }
            Some(Content::Segment(Segment::Shared { .. })) | None => 0,
        }
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
        let shared = Segment::Shared {
            bytes: data.split_to(count),
            capacity: 0,
        };
        self.link(queue, Content::Segment(shared));
        self.settle(queue);
    }

    /// The first segment's bytes; empty if the queue is.
    pub(crate) fn front(&self, queue: &Queue) -> &[u8] {
        self.nodes
            .get(queue.head)
            .map_or(&[], |node| node.content.as_slice())
    }

    /// The first segment's bytes, which stay in the queue; empty if the queue is. What lies in the
    /// arena is copied; a buffer is shared, and takes no more bytes.
    pub(crate) fn share_front(&mut self, queue: &Queue) -> Bytes {
        let node = self.nodes.get_mut(queue.head);
        match node.map(|node| &mut node.content) {
            Some(Content::Segment(segment)) => segment.share(),
            Some(Content::Inline(inline)) => Bytes::copy_from_slice(inline.as_slice()),
            None => Bytes::new(),
        }
    }

    /// Drops the first `count` bytes, at most all of the first segment.
    pub(crate) fn advance(&mut self, queue: &mut Queue, count: usize) {
        self.take_front(queue, count, |_| {});
    }

    /// Takes the first `max` bytes, at most all of the first segment: `copy` gets them. Returns how
    /// many there were.
    ///
    /// Nothing has changed if `copy` panics.
    #[inline]
    pub(crate) fn take_front(
        &mut self,
        queue: &mut Queue,
        max: usize,
        copy: impl FnOnce(&[u8]),
    ) -> usize {
        let node = self.nodes.get_mut(queue.head);
        let Some(Content::Segment(segment)) = node.map(|node| &mut node.content) else {
            return self.take_inline(queue, max, copy);
        };
        let bytes = segment.as_slice();
        let (len, count) = (bytes.len(), bytes.len().min(max));
        copy(&bytes[..count]);
        queue.len -= length(count);
        if count == len {
            self.drop_front(queue);
        } else {
            segment.advance(count);
        }
        self.settle(queue);
        count
    }

    /// Takes all of a queue that is one small message, if it has at most `max` bytes.
    #[inline]
    pub(crate) fn take_small(&mut self, queue: &mut Queue, max: usize) -> Option<Small<'_>> {
        let length = queue.len();
        if queue.head != queue.tail || length > max {
            return None;
        }
        let bytes = self.nodes.remove_whole(queue.head)?;
        *queue = Queue::new();
        Some(Small { bytes, length })
    }

    /// As [`take_front`](Self::take_front), but only what lies in the arena.
    #[inline]
    pub(crate) fn take_inline(
        &mut self,
        queue: &mut Queue,
        max: usize,
        copy: impl FnOnce(&[u8]),
    ) -> usize {
        let Some(node) = self.nodes.get_mut(queue.head) else {
            return 0;
        };
        let Content::Inline(inline) = &node.content else {
            return 0;
        };
        let bytes = inline.as_slice();
        let (len, count) = (bytes.len(), bytes.len().min(max));
        copy(&bytes[..count]);
        queue.len -= length(count);
        if count == len {
            let index = self.unlink(queue);
            self.nodes.remove_copy(index);
        } else {
            node.content.advance(count);
        }
        self.settle(queue);
        count
    }

    /// Takes the first `max` bytes of the first segment, or all of it. What lies in the arena is
    /// copied; of a segment that is split, the part that is shorter.
    pub(crate) fn split_front(&mut self, queue: &mut Queue, max: usize) -> Option<Segment> {
        let node = self.nodes.get_mut(queue.head)?;
        let Content::Segment(segment) = &mut node.content else {
            let mut buffer = take(self.source.as_deref(), INLINE);
            self.take_inline(queue, max, |bytes| buffer.append(bytes));
            return Some(Segment::Pooled { buffer, start: 0 });
        };
        let len = segment.as_slice().len();
        let count = len.min(max);
        queue.len -= length(count);
        let front = match segment {
            _ if count == len => match self.pop_front(queue)? {
                Content::Segment(segment) => segment,
                Content::Inline(_) => return None,
            },
            Segment::Shared { bytes, .. } => Segment::Shared {
                bytes: bytes.split_to(count),
                capacity: 0,
            },
            Segment::Pooled { .. } => self.split_pooled(queue, count)?,
        };
        self.settle(queue);
        Some(front)
    }

    /// Takes the first `count` bytes of the first segment, which has more and a buffer.
    fn split_pooled(&mut self, queue: &mut Queue, count: usize) -> Option<Segment> {
        let node = self.nodes.get_mut(queue.head)?;
        let (first, rest) = node.content.as_slice().split_at(count);
        if first.len() <= rest.len() {
            let mut buffer = take(self.source.as_deref(), count.max(INLINE));
            buffer.append_block(first);
            node.content.advance(count);
            return Some(Segment::Pooled { buffer, start: 0 });
        }
        let rest = copy(self.source.as_deref(), rest, rest.len());
        match node.replace(queue, rest) {
            Content::Segment(Segment::Pooled { mut buffer, start }) => {
                buffer.truncate(start + count);
                Some(Segment::Pooled { buffer, start })
            }
            _ => None,
        }
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

    /// Lends an empty buffer of at least `size` bytes, to be [pushed](Self::push_buffer) or
    /// [given back](Self::recycle).
    #[cfg(feature = "poll")]
    pub(crate) fn lend(&self, size: usize) -> Buffer {
        take(self.source.as_deref(), size)
    }

    /// Appends the bytes of a buffer that was lent, without a copy unless they fill less than half
    /// of it. It has no more than `limit`, which is as in [`push`](Self::push).
    #[cfg(feature = "poll")]
    pub(crate) fn push_buffer(&mut self, queue: &mut Queue, buffer: Buffer, limit: usize) {
        if 2 * buffer.len() < buffer.capacity() + ENTRY {
            self.push(queue, buffer.as_slice(), limit);
            return self.recycle(buffer);
        }
        // It will not be filled any more.
        self.tighten(queue, queue.tail);
        queue.len += length(buffer.len());
        self.link(
            queue,
            Content::Segment(Segment::Pooled { buffer, start: 0 }),
        );
        self.settle(queue);
    }

    /// Gives a spent buffer back.
    pub(crate) fn recycle(&self, buffer: Buffer) {
        if let Some(source) = &self.source {
            source.put(buffer);
        }
    }

    /// Whether so many entries of the arena are unused that [`compact`](Self::compact) is worth its
    /// walk over the table, which has so many places. With one entry for each of them the arena may
    /// stay as it is.
    pub(crate) fn is_sparse(&self, streams: usize) -> bool {
        let (all, used) = (self.nodes.capacity(), self.nodes.len());
        all > streams && all > used + used / 4 + streams + streams / 8 + SPARE_ENTRIES
    }

    /// Moves all segments to an arena that has room for them and no more. `queues` are all that
    /// have any.
    #[cold]
    pub(crate) fn compact<'a>(&mut self, queues: impl Iterator<Item = &'a mut Queue>) {
        let mut arena = Arena::with_capacity(self.nodes.len());
        core::mem::swap(&mut arena, &mut self.nodes);
        if arena.len() == 0 {
            return;
        }
        for queue in queues {
            let mut from = core::mem::replace(queue, Queue::new());
            queue.len = from.len;
            while let Some(node) = arena.get(from.head) {
                let (index, next) = (from.head, node.next);
                from.head = next;
                if let Some(content) = arena.remove(index) {
                    self.link(queue, content);
                }
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
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let Some(size) = node.content.fitting() else {
            return;
        };
        let smaller = copy(self.source.as_deref(), node.content.as_slice(), size);
        let old = node.replace(queue, smaller);
        self.drop_content(old);
    }

    fn link(&mut self, queue: &mut Queue, content: Content) {
        queue.cost += content.cost();
        let index = self.nodes.insert(content);
        match self.nodes.get_mut(queue.tail) {
            Some(tail) => tail.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
    }

    /// Takes the first segment out of its queue, and leaves it in its place.
    #[inline]
    fn unlink(&self, queue: &mut Queue) -> u32 {
        let index = queue.head;
        if let Some(node) = self.nodes.get(index) {
            queue.head = node.next;
            if queue.head == NIL {
                queue.tail = NIL;
            }
            queue.cost -= node.cost;
        }
        index
    }

    fn pop_front(&mut self, queue: &mut Queue) -> Option<Content> {
        let index = self.unlink(queue);
        self.nodes.remove(index)
    }

    fn drop_front(&mut self, queue: &mut Queue) {
        if let Some(content) = self.pop_front(queue) {
            self.drop_content(content);
        }
    }

    fn drop_content(&mut self, content: Content) {
        match content {
            Content::Segment(Segment::Pooled { buffer, .. }) => self.recycle(buffer),
            Content::Segment(Segment::Shared { bytes, capacity: 0 }) => self.release(bytes),
            Content::Segment(Segment::Shared { mut bytes, .. }) => {
                // Without bytes, nothing is copied to the buffer's beginning.
                bytes.advance(bytes.len());
                if bytes.is_unique() {
                    self.recycle(Vec::from(bytes).into());
                }
            }
            Content::Inline(_) => {}
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

/// Whether a message of so many bytes lies in the arena.
#[inline]
pub(crate) const fn is_small(length: usize) -> bool {
    0 < length && length <= INLINE
}

fn take(source: Option<&dyn BufferSource>, size: usize) -> Buffer {
    // Sizes are at most 65 536 by construction; a plain vector would do as well.
    let Some(source) = source else {
        return Buffer::vector(size);
    };
    let mut buffer = source.get(size);
    buffer.truncate(0);
    buffer
}

/// A copy of `data` with room for `size` bytes in all.
fn copy(source: Option<&dyn BufferSource>, data: &[u8], size: usize) -> Content {
    if size <= INLINE {
        return Content::inline(data);
    }
    let mut buffer = take(source, size);
    buffer.append_block(data);
    Content::Segment(Segment::Pooled { buffer, start: 0 })
}
