//! Buffers that are used again.

use alloc::vec::Vec;

use super::Buffer;

/// Largest buffer that the pool deals in: a frame's payload fits in one.
const MAX_BUFFER: usize = 1 << 16;
/// One list of free buffers for each power of two from 2^0 to 2^16.
const CLASSES: usize = 17;

/// A bounded pool of buffers with capacities that are powers of two, from 1 byte to 64 KiB.
///
/// A buffer is never more than twice as large as what was asked for, so less than half of it
/// is wasted. Contents are not cleared: buffers come as empty vectors with a capacity.
///
/// ```
/// let mut pool = smux_proto::BufferPool::new(1 << 20);
/// let buffer = pool.get(1025).expect("1 to 65536 bytes");
/// assert_eq!((buffer.len(), buffer.capacity()), (0, 2048));
/// assert!(pool.put(buffer).is_ok());
/// assert!(pool.get(65_537).is_none());
/// ```
#[derive(Debug)]
pub struct BufferPool {
    free: [Vec<Buffer>; CLASSES],
    held: usize,
    max_held: usize,
}

impl BufferPool {
    /// An empty pool that keeps at most `max_held` bytes of unused buffers.
    pub const fn new(max_held: usize) -> Self {
        Self {
            free: [const { Vec::new() }; CLASSES],
            held: 0,
            max_held,
        }
    }

    /// An empty buffer whose capacity is the smallest power of two that holds `size` bytes.
    ///
    /// `None` if `size` is 0 or above 65 536.
    pub fn get(&mut self, size: usize) -> Option<Vec<u8>> {
        if size == 0 || size > MAX_BUFFER {
            return None;
        }
        let reused = self.reuse(size).and_then(|buffer| buffer.into_vec().ok());
        Some(reused.unwrap_or_else(|| Vec::with_capacity(size.next_power_of_two())))
    }

    /// As [`get`](Self::get), but only a buffer that is here, which may be a piece.
    #[inline]
    pub(super) fn reuse(&mut self, size: usize) -> Option<Buffer> {
        let class = usize::BITS - size.saturating_sub(1).leading_zeros();
        let buffer = self.free.get_mut(class as usize)?.pop()?;
        self.held -= 1 << class;
        Some(buffer)
    }

    /// Moves buffers to another pool, large ones first, until at most `left` bytes are left.
    #[cfg(feature = "std")]
    pub(super) fn spill(&mut self, into: &mut Self, left: usize) {
        for class in (0..CLASSES).rev() {
            while self.held > left
                && let Some(buffer) = self.free[class].pop()
            {
                self.held -= 1 << class;
                drop(into.keep(buffer));
            }
        }
    }

    /// Takes a buffer back, whatever its length, for a later [`get`](Self::get). A full pool frees
    /// it instead.
    ///
    /// # Errors
    ///
    /// Gives the buffer back if its capacity is 0, above 65 536 or no power of two.
    pub fn put(&mut self, buffer: Vec<u8>) -> Result<(), Vec<u8>> {
        let capacity = buffer.capacity();
        if !capacity.is_power_of_two() || capacity > MAX_BUFFER {
            return Err(buffer);
        }
        drop(self.keep(buffer.into()));
        Ok(())
    }

    /// As [`put`](Self::put), but gives a buffer back that it has no room for, too, or that no pool
    /// may keep.
    #[inline]
    pub(super) fn keep(&mut self, mut buffer: Buffer) -> Result<(), Buffer> {
        let capacity = buffer.capacity();
        let class = capacity.trailing_zeros();
        let held = self.held + capacity;
        match self.free.get_mut(class as usize) {
            Some(free)
                if capacity == 1 << class && held <= self.max_held && buffer.is_poolable() =>
            {
                buffer.truncate(0);
                self.held = held;
                free.push(buffer);
                Ok(())
            }
            _ => Err(buffer),
        }
    }

    /// Bytes of unused buffers in the pool.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Frees all unused buffers.
    pub fn clear(&mut self) {
        self.free = [const { Vec::new() }; CLASSES];
        self.held = 0;
    }
}
