//! A batch of outgoing frames.

use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, mem};

use bytes::{Buf, Bytes};

use crate::{
    buffer::{
        Buffer,
        segments::{Segment, Small},
    },
    wire::{Header, WindowUpdate},
};

/// Payload up to this size is copied next to its header: cheaper than a slice of its own in a
/// vectored write.
const COPIED: usize = 1024;

/// See [`Transmit::set_batch_size`].
const SIZE: usize = 60 << 10;

/// A reusable batch of frames on their way to the transport.
///
/// [`Session::poll_transmit`](crate::Session::poll_transmit) fills it; it owns what it holds, so
/// the session is free for other work while the batch is written. Read it as a [`Buf`]: as a
/// contiguous [`chunk`](Buf::chunk), or, with feature `std`, as slices for a vectored write. Bytes
/// count as sent once [`advance`](Buf::advance) has passed them. Give the same batch to
/// `poll_transmit` again, so that its buffers are used again.
///
/// A batch belongs to the session that filled it until it is empty: to any other session it is
/// [no batch to fill](crate::Session::poll_transmit). One session may fill a second batch while the
/// first is being written; they leave in the order in which they were filled.
pub struct Transmit {
    /// Headers and small payloads, in order.
    copied: Vec<u8>,
    /// What leaves before the tail.
    chunks: VecDeque<Chunk>,
    /// Where the tail of `copied` begins, which leaves last. So a batch of small frames alone needs
    /// no chunks.
    tail: usize,
    remaining: usize,
    /// How much the session fills in.
    size: usize,
    more_follows: bool,
    long_turns: bool,
    /// The session that filled it last.
    owner: Option<Owner>,
    /// How far that session's output had come with the last byte that was filled in.
    end: u64,
    /// Buffers whose bytes have left, other than by a copy.
    spent: Vec<Buffer>,
    /// Bytes of the user that are copied or cleared. They are dropped with the next bytes that
    /// leave: dropping them runs their owner's code, which a session's caller may have to do
    /// without its lock.
    released: Vec<Bytes>,
}

/// What a batch allocates, while it is empty: any other batch can use it.
#[cfg(feature = "poll")]
pub(crate) struct BatchMemory {
    copied: Vec<u8>,
    chunks: VecDeque<Chunk>,
    spent: Vec<Buffer>,
    released: Vec<Bytes>,
}

/// Tells a session from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The address of something that the session owns: no other that lives has the same.
    pub(crate) address: usize,
    /// Tells it from sessions that lived before.
    pub(crate) seed: u64,
}

enum Chunk {
    /// A range of `copied`.
    Copied {
        start: usize,
        end: usize,
    },
    Segment(Segment),
}

impl Default for Transmit {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the data, which is the user's and does not belong in logs.
impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl Transmit {
    /// An empty batch. It allocates once frames come.
    pub const fn new() -> Self {
        Self {
            copied: Vec::new(),
            chunks: VecDeque::new(),
            tail: 0,
            remaining: 0,
            size: SIZE,
            more_follows: false,
            long_turns: false,
            owner: None,
            end: 0,
            spent: Vec::new(),
            released: Vec::new(),
        }
    }

    /// Makes room for more frames: copied bytes that have left give their place to those that have
    /// not.
    #[inline]
    pub(crate) fn refill(&mut self) {
        if self.remaining == 0 {
            self.copied.clear();
            self.tail = 0;
        } else {
            self.close_gap();
        }
    }

    #[inline(never)]
    fn close_gap(&mut self) {
        let gone = self
            .chunks
            .iter()
            .find_map(|chunk| match chunk {
                Chunk::Copied { start, .. } => Some(*start),
                Chunk::Segment(_) => None,
            })
            .unwrap_or(self.tail);
        self.copied.drain(..gone);
        self.tail -= gone;
        for chunk in &mut self.chunks {
            if let Chunk::Copied { start, end } = chunk {
                *start -= gone;
                *end -= gone;
            }
        }
    }

    /// How much the session fills in at a time, in bytes. See
    /// [`set_batch_size`](Self::set_batch_size).
    pub const fn batch_size(&self) -> usize {
        self.size
    }

    /// Changes how much the session fills in at a time: it adds frames until the batch holds
    /// `bytes`, so it may exceed them by one data frame with its stream's control frames. 61 440 at
    /// first; 0 counts as 1.
    ///
    /// A fast transport gains from larger batches. But data in a batch leaves before anything that
    /// becomes urgent later, and no longer counts against the limits of the send queues.
    pub fn set_batch_size(&mut self, bytes: usize) {
        self.size = bytes.max(1);
    }

    /// Lets a stream that has much to send use half of a batch in its turn, instead of one frame.
    /// Streams of different [priority](crate::Priority) keep to one frame.
    ///
    /// That suits a peer with a thread for each stream, which is woken less often. A stream that
    /// had nothing to send still goes first.
    pub fn set_long_turns(&mut self, are_long: bool) {
        self.long_turns = are_long;
    }

    /// How many bytes a stream may send in its turn, if that is more than a frame.
    pub(crate) const fn turn(&self) -> usize {
        if self.long_turns { self.size / 2 } else { 0 }
    }

    /// Whether the session has more to send than this batch holds. Then a write need not take all
    /// of it, but may end where it suits the transport: the session refills the batch once less
    /// than two thirds of its [size](Self::set_batch_size) are left.
    pub const fn more_follows(&self) -> bool {
        self.more_follows
    }

    /// What is left of the batch, in order, for a write of many slices that owns the batch. They
    /// stay where they are in memory when the batch is moved.
    ///
    /// ```
    /// use std::{task::Poll, time::Duration};
    ///
    /// use smux_proto::{Config, Session, Transmit};
    ///
    /// let mut session = Session::client(Config::default(), 1, Duration::ZERO);
    /// assert!(matches!(session.open(), Poll::Ready(Ok(_))));
    /// let mut batch = Transmit::new();
    /// assert!(session.poll_transmit(Duration::ZERO, &mut batch));
    /// let bytes: Vec<u8> = batch.slices().flatten().copied().collect();
    /// assert_eq!(bytes, [1, 0, 0, 0, 3, 0, 0, 0]); // SYN of stream 3
    /// ```
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let chunks = self.chunks.iter().map(|chunk| self.slice(chunk));
        chunks.chain(Some(self.tail()).filter(|tail| !tail.is_empty()))
    }

    /// Whether this session may fill it.
    #[inline]
    pub(crate) fn is_free_for(&self, owner: Option<Owner>) -> bool {
        self.remaining == 0 || self.owner == owner
    }

    /// How much of this session's output has left, as far as this batch tells.
    #[inline]
    pub(crate) fn position(&self, owner: Option<Owner>) -> Option<u64> {
        (self.owner == owner).then_some(self.end - self.remaining as u64)
    }

    /// Whether it is empty or holds the last of the output, up to `emitted`: then more may follow
    /// in it.
    pub(crate) const fn is_newest(&self, emitted: u64) -> bool {
        self.remaining == 0 || self.end == emitted
    }

    /// Notes whose output it holds, and how far that has come.
    pub(crate) fn filled(&mut self, owner: Option<Owner>, end: u64) {
        self.owner = owner;
        self.end = end;
    }

    /// The limit keeps a transport that takes little at a time from having the copied part moved
    /// each time.
    pub(crate) const fn wants_more(&self) -> bool {
        self.more_follows && self.remaining < self.size / 3 * 2
    }

    pub(crate) const fn set_more_follows(&mut self, more_follows: bool) {
        self.more_follows = more_follows;
    }

    /// Gives up what is left.
    pub(crate) fn clear(&mut self) {
        let chunks = mem::take(&mut self.chunks);
        *self = Self {
            size: self.size,
            released: mem::take(&mut self.released),
            ..Self::new()
        };
        for chunk in chunks {
            if let Chunk::Segment(Segment::Shared { bytes, .. }) = chunk {
                self.released.push(bytes);
            }
        }
    }

    /// Gives the memory of an empty batch back to the allocator.
    pub(crate) fn trim(&mut self) {
        if self.remaining == 0 {
            self.clear();
        }
    }

    /// Drops what the user handed over and is copied.
    #[cfg(feature = "poll")]
    pub(crate) fn release(&mut self) {
        self.released.clear();
    }

    /// Gives up its memory if it holds neither bytes nor buffers.
    #[cfg(feature = "poll")]
    pub(crate) fn take_memory(&mut self) -> Option<BatchMemory> {
        let is_empty = self.remaining == 0 && self.spent.is_empty() && self.released.is_empty();
        if !is_empty || !self.has_memory() {
            return None;
        }
        self.copied.clear();
        self.tail = 0;
        Some(BatchMemory {
            copied: mem::take(&mut self.copied),
            chunks: mem::take(&mut self.chunks),
            spent: mem::take(&mut self.spent),
            released: mem::take(&mut self.released),
        })
    }

    /// Uses the memory that another batch gave up; only for one that has none.
    #[cfg(feature = "poll")]
    pub(crate) fn set_memory(&mut self, memory: BatchMemory) {
        debug_assert!(!self.has_memory());
        self.copied = memory.copied;
        self.chunks = memory.chunks;
        self.spent = memory.spent;
        self.released = memory.released;
    }

    #[cfg(feature = "poll")]
    pub(crate) fn has_memory(&self) -> bool {
        self.copied.capacity() + self.chunks.capacity() > 0
    }

    pub(crate) const fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    pub(crate) fn spent(&mut self) -> impl Iterator<Item = Buffer> {
        self.spent.drain(..)
    }

    #[inline]
    pub(crate) fn header(&mut self, header: Header) {
        self.copy(&header.encode());
    }

    pub(crate) fn update(&mut self, update: WindowUpdate) {
        self.copy(&update.encode());
    }

    /// Adds payload. Returns its buffer if the payload was copied.
    #[inline]
    pub(crate) fn payload(&mut self, segment: Segment) -> Option<Buffer> {
        let len = segment.as_slice().len();
        if len > COPIED {
            self.end_tail();
            self.remaining += len;
            self.chunks.push_back(Chunk::Segment(segment));
            return None;
        }
        self.copy(segment.as_slice());
        match segment {
            Segment::Pooled { buffer, .. } => Some(buffer),
            Segment::Shared { bytes, .. } => {
                self.released.push(bytes);
                None
            }
        }
    }

    /// Adds a frame with a small message. The same number of bytes is copied whatever its length,
    /// so that no copy is a call; what is too much is taken back.
    #[inline]
    pub(crate) fn small_frame(&mut self, header: Header, message: &Small<'_>) {
        let length = Header::SIZE + message.length;
        let end = self.copied.len() + length;
        self.copied.extend_from_slice(&header.encode());
        self.copied.extend_from_slice(message.bytes);
        self.copied.truncate(end);
        self.remaining += length;
    }

    /// Adds a copy of a few bytes.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
        self.remaining += bytes.len();
    }

    /// Makes a chunk of the tail, because something is to leave behind it.
    fn end_tail(&mut self) {
        let (start, end) = (self.tail, self.copied.len());
        if start < end {
            self.tail = end;
            self.chunks.push_back(Chunk::Copied { start, end });
        }
    }

    #[inline]
    fn tail(&self) -> &[u8] {
        self.copied.get(self.tail..).unwrap_or_default()
    }

    fn spend(&mut self, segment: Segment) {
        match segment {
            Segment::Pooled { buffer, .. } => self.spent.push(buffer),
            Segment::Shared { bytes, .. } => self.released.push(bytes),
        }
    }

    fn slice<'a>(&'a self, chunk: &'a Chunk) -> &'a [u8] {
        match chunk {
            Chunk::Copied { start, end } => self.copied.get(*start..*end).unwrap_or_default(),
            Chunk::Segment(segment) => segment.as_slice(),
        }
    }
}

impl Buf for Transmit {
    /// Bytes of the batch that have not left.
    #[inline]
    fn remaining(&self) -> usize {
        self.remaining
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => self.slice(chunk),
            None => self.tail(),
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, bytes) in slices.iter_mut().zip(self.slices()) {
            *slice = std::io::IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }

    /// Notes that the first `count` bytes have left. More than [`remaining`](Self::remaining)
    /// counts as all.
    #[inline]
    fn advance(&mut self, count: usize) {
        // A batch of small frames that leaves at once, as most do.
        if count >= self.remaining && self.chunks.is_empty() {
            self.remaining = 0;
            self.tail = self.copied.len();
        } else {
            self.pass(count);
        }
        if !self.released.is_empty() {
            self.released.clear();
        }
    }
}

impl Transmit {
    #[inline(never)]
    fn pass(&mut self, count: usize) {
        let mut count = count.min(self.remaining);
        self.remaining -= count;
        while count > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                self.tail += count;
                return;
            };
            let len = match chunk {
                Chunk::Copied { start, end } => *end - *start,
                Chunk::Segment(segment) => segment.as_slice().len(),
            };
            if count < len {
                match chunk {
                    Chunk::Copied { start, .. } => *start += count,
                    Chunk::Segment(segment) => segment.advance(count),
                }
                return;
            }
            count -= len;
            if let Some(Chunk::Segment(segment)) = self.chunks.pop_front() {
                self.spend(segment);
            }
        }
    }
}
