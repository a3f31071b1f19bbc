//! Part of a queue.

use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use super::queue::{ENTRY, MIN_SEGMENT, UNIT, length};

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

    /// What it and its entry in the arena take, in units. The user's bytes are the user's.
    pub(super) fn cost(&self) -> u32 {
        let buffer = match self {
            Self::Pooled { buffer, .. } => buffer.capacity(),
            Self::Shared(_) => 0,
        };
        length(buffer.div_ceil(UNIT) + ENTRY / UNIT)
    }

    /// The size of the smaller buffer that would do, if its own is at least twice as large.
    pub(super) fn fitting(&self) -> Option<usize> {
        let Self::Pooled { buffer, start } = self else {
            return None;
        };
        let size = (buffer.len() - start).next_power_of_two().max(MIN_SEGMENT);
        (buffer.capacity() >= 2 * size).then_some(size)
    }
}
