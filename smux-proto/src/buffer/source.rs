//! Where buffers come from.

use super::Buffer;

/// Lends buffers to any number of sessions, which give them back as soon as the bytes in them are
/// gone.
///
/// A session owns no unused buffer, so that an idle one costs its bookkeeping only. Without a
/// source it takes buffers from the allocator; with one that keeps enough, such as `ThreadBuffers`,
/// frames cost no allocation. See
/// [`Session::set_buffer_source`](crate::Session::set_buffer_source).
///
/// A source of your own may lend vectors of a [`BufferPool`](super::BufferPool):
///
/// ```
/// use std::sync::{Mutex, PoisonError};
///
/// use smux_proto::{Buffer, BufferPool, BufferSource};
///
/// struct Pool(Mutex<BufferPool>);
///
/// impl BufferSource for Pool {
///     fn get(&self, size: usize) -> Buffer {
///         let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         Buffer::from(pool.get(size).unwrap_or_default())
///     }
///
///     fn put(&self, buffer: Buffer) {
///         if let Ok(vector) = buffer.into_vec() {
///             let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///             let _refused = pool.put(vector);
///         }
///     }
/// }
/// ```
pub trait BufferSource: Send + Sync {
    /// Lends an empty buffer with a capacity of at least `size` bytes, 1 to 65 536: best the next
    /// power of two.
    fn get(&self, size: usize) -> Buffer;

    /// Takes a buffer back, whatever its length; also one that another source lent. One that is not
    /// kept is dropped.
    fn put(&self, buffer: Buffer);
}
