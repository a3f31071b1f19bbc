//! Parts of a queue.

use bytes::{Buf, Bytes};

use crate::buffer::Buffer;

use super::queue::{ENTRY, INLINE, UNIT, length};

/// Part of a queue that can leave it as it is: a pooled buffer, or bytes that are shared with the
/// user.
pub(crate) enum Segment {
    Pooled {
        buffer: Buffer,
        start: usize,
    },
    /// Takes no more bytes.
    Shared {
        bytes: Bytes,
        /// Of the pooled buffer in which they lie; 0 for bytes that the user handed over.
        capacity: usize,
    },
}

impl Segment {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Pooled { buffer, start } => buffer.as_slice().get(*start..).unwrap_or_default(),
            Self::Shared { bytes, .. } => bytes,
        }
    }

    /// Shares its bytes, which it keeps.
    pub(super) fn share(&mut self) -> Bytes {
        match self {
            Self::Pooled { buffer, start } => {
                let capacity = buffer.capacity();
                let mut bytes = buffer.take().into_bytes();
                bytes.advance(*start);
                *self = Self::Shared {
                    bytes: bytes.clone(),
                    capacity,
                };
                bytes
            }
            Self::Shared { bytes, .. } => bytes.clone(),
        }
    }

    pub(crate) fn advance(&mut self, count: usize) {
        match self {
            Self::Pooled { buffer, start } => *start = (*start + count).min(buffer.len()),
            Self::Shared { bytes, .. } => bytes.advance(count.min(bytes.len())),
        }
    }
}

/// Part of a queue that lies in its entry of the arena.
///
/// A small message is copied there and from there, and needs no buffer: lending and returning one
/// would cost more than both copies.
pub(super) struct Inline {
    bytes: [u8; INLINE],
    start: u8,
    end: u8,
}

impl Inline {
    /// What its entry in the arena takes, in units.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) const COST: u32 = (ENTRY / UNIT) as u32;

    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; INLINE],
            start: 0,
            end: 0,
        }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        let range = usize::from(self.start)..usize::from(self.end);
        self.bytes.get(range).unwrap_or_default()
    }

    /// The bytes, with what there is of others behind them, if none has been taken.
    #[inline]
    pub(super) const fn whole(&self) -> Option<&[u8; INLINE]> {
        match self.start {
            0 => Some(&self.bytes),
            _ => None,
        }
    }

    /// Holds a copy of `data` from now on, as much of it as fits.
    #[inline]
    pub(super) fn refill(&mut self, data: &[u8]) {
        let count = data.len().min(INLINE);
        self.bytes[..count].copy_from_slice(&data[..count]);
        (self.start, self.end) = (0, short(count));
    }

    /// Holds the first `count` bytes of a block from now on.
    #[inline]
    pub(super) const fn refill_block(&mut self, block: &[u8; INLINE], count: usize) {
        self.bytes = *block;
        (self.start, self.end) = (0, short(count));
    }

    /// Appends as much of `data` as fits. Returns how much that is.
    #[inline]
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let room = self.bytes.get_mut(self.end.into()..).unwrap_or_default();
        let count = room.len().min(data.len());
        room[..count].copy_from_slice(&data[..count]);
        self.end += short(count);
        count
    }
}

/// What an entry of the arena holds.
pub(super) enum Content {
    Inline(Inline),
    Segment(Segment),
}

impl Content {
    /// A copy of at most [`INLINE`] bytes.
    #[inline]
    pub(super) fn inline(data: &[u8]) -> Self {
        let mut inline = Inline::new();
        inline.fill(data);
        Self::Inline(inline)
    }

    /// Gives a segment up for a copy of at most [`INLINE`] bytes.
    #[cold]
    pub(super) fn become_inline(&mut self, data: &[u8]) {
        *self = Self::inline(data);
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline(inline) => inline.as_slice(),
            Self::Segment(segment) => segment.as_slice(),
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        match self {
            Self::Inline(inline) => {
                let left = inline.as_slice().len().saturating_sub(count);
                inline.start = inline.end - short(left);
            }
            Self::Segment(segment) => segment.advance(count),
        }
    }

    /// What it and its entry in the arena take, in units. The user's bytes are the user's.
    #[inline]
    pub(super) fn cost(&self) -> u32 {
        let buffer = match self {
            Self::Segment(Segment::Pooled { buffer, .. }) => buffer.capacity(),
            Self::Segment(Segment::Shared { capacity, .. }) => *capacity,
            Self::Inline(_) => 0,
        };
        length(buffer.div_ceil(UNIT)) + Inline::COST
    }

    /// The size that would do, if its buffer is at least twice as large.
    pub(super) fn fitting(&self) -> Option<usize> {
        let (len, capacity) = match self {
            Self::Segment(Segment::Pooled { buffer, start }) => {
                (buffer.len() - start, buffer.capacity())
            }
            Self::Segment(Segment::Shared { bytes, capacity }) => (bytes.len(), *capacity),
            Self::Inline(_) => return None,
        };
        let size = len.next_power_of_two().max(INLINE);
        (capacity >= 2 * size).then_some(size)
    }
}

/// A number of bytes that an entry of the arena holds.
#[allow(clippy::cast_possible_truncation)]
const fn short(bytes: usize) -> u8 {
    bytes as u8
}
