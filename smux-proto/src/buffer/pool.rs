//! Buffers that are used again.

use alloc::vec::Vec;

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
    free: [Vec<Vec<u8>>; CLASSES],
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
        let capacity = size.next_power_of_two();
        let buffer = self.free.get_mut(class(capacity))?.pop();
        Some(match buffer {
            Some(buffer) => {
                self.held -= capacity;
                buffer
            }
            None => Vec::with_capacity(capacity),
        })
    }

    /// Takes a buffer back, whatever its length, for a later [`get`](Self::get). A full pool frees it instead.
    ///
    /// # Errors
    ///
    /// Gives the buffer back if its capacity is 0, above 65 536 or no power of two.
    pub fn put(&mut self, mut buffer: Vec<u8>) -> Result<(), Vec<u8>> {
        let capacity = buffer.capacity();
        if !capacity.is_power_of_two() || capacity > MAX_BUFFER {
            return Err(buffer);
        }
        if self.held + capacity <= self.max_held {
            buffer.clear();
            self.held += capacity;
            self.free[class(capacity)].push(buffer);
        }
        Ok(())
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

/// The list for buffers of this capacity, a power of two.
const fn class(capacity: usize) -> usize {
    capacity.trailing_zeros() as usize
}
