//! Where buffers come from.

use alloc::vec::Vec;

/// Lends buffers to any number of sessions, which give them back as soon as the bytes in them are
/// gone.
///
/// A session owns no unused buffer, so that an idle one costs its bookkeeping only. Without a
/// source it takes buffers from the allocator; with one that keeps enough, such as `ThreadBuffers`,
/// frames cost no allocation. See
/// [`Session::set_buffer_source`](crate::Session::set_buffer_source).
pub trait BufferSource: Send + Sync {
    /// Lends an empty buffer with a capacity of at least `size` bytes, 1 to 65 536: best the next
    /// power of two.
    fn get(&self, size: usize) -> Vec<u8>;

    /// Takes a buffer back, whatever its length; also one that another source lent.
    fn put(&self, buffer: Vec<u8>);
}
