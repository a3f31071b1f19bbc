//! What a stream keeps of its queue, and what the queue may take.

/// Bytes that an entry of the arena can hold itself. Larger segments have buffers.
pub(crate) const INLINE: usize = 64;
/// Largest segment, unless frames are smaller than it or up to twice as large.
pub(crate) const SEGMENT: usize = 1 << 15;
/// "No segment".
pub(super) const NIL: u32 = u32::MAX;
/// What an entry of the arena counts for: its size, and a quarter for entries that are not in use.
pub(super) const ENTRY: usize = 112;
/// What a queue may take beyond twice its bytes: its first and its last segment, if both are
/// almost empty.
const SLACK: usize = 2 * ENTRY;
/// Costs are counted in units of so many bytes, so that that of 2^32 bytes fits in 32 bits.
pub(super) const UNIT: usize = 16;

/// Bytes in the order they came, at most 2^32 − 1 of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) len: u32,
    /// Buffers and arena entries, in units.
    pub(super) cost: u32,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            head: NIL,
            tail: NIL,
            len: 0,
            cost: 0,
        }
    }

    /// Of one segment.
    #[inline]
    pub(super) fn of_one(index: u32, bytes: usize, cost: u32) -> Self {
        Self {
            head: index,
            tail: index,
            len: length(bytes),
            cost,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it may take in addition; negative if it takes too many.
    pub(super) const fn spare(&self) -> i64 {
        2 * self.len as i64 + (SLACK as i64) - (self.cost as i64) * (UNIT as i64)
    }
}

/// Capacity of the next segment of a queue when `more` bytes are to be added.
pub(super) fn segment_size(queue: &Queue, more: usize) -> usize {
    let least = more.next_power_of_two().clamp(INLINE, 1 << 16);
    if queue.is_empty() {
        return least;
    }
    let grown = (queue.len() + more + 1).next_power_of_two() / 2;
    let spare = usize::try_from(queue.spare()).unwrap_or(0) + 2 * more;
    let affordable = (spare.saturating_sub(ENTRY) + 1).next_power_of_two() / 2;
    least.max(grown.min(affordable).min(SEGMENT))
}

/// The number of bytes up to which segments are filled when frames are of at most `frame` bytes: as
/// many, so that frames are whole segments, unless that is few or too little of a buffer.
pub(crate) const fn segment_limit(frame: usize) -> usize {
    if frame < SEGMENT / 8 || frame.next_power_of_two() + ENTRY > 2 * frame {
        SEGMENT
    } else {
        frame
    }
}

/// A count of bytes in one queue: what a queue can hold is bounded far below 2^32 by its callers.
pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
