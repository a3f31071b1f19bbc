//! Buffers as sources lend them.

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

use super::copying;
#[cfg(feature = "std")]
use super::regions::Piece;

/// A buffer that a [`BufferSource`](super::BufferSource) lends: a vector, or a piece of memory that
/// belongs to [`ThreadBuffers`](super::ThreadBuffers).
///
/// Dropping it is safe in any case: a vector is freed, and a piece goes back to where it belongs.
///
/// ```
/// let buffer = smux_proto::Buffer::from(Vec::with_capacity(4096));
/// assert_eq!((buffer.len(), buffer.capacity()), (0, 4096));
/// assert!(buffer.into_vec().is_ok());
/// ```
pub struct Buffer(Memory);

enum Memory {
    Vector(Vec<u8>),
    #[cfg(feature = "std")]
    Piece(Piece),
}

impl Buffer {
    /// An empty vector whose capacity is the smallest power of two that holds `size` bytes.
    pub(super) fn vector(size: usize) -> Self {
        Self::from(Vec::with_capacity(size.next_power_of_two()))
    }

    #[cfg(feature = "std")]
    pub(super) const fn piece(piece: Piece) -> Self {
        Self(Memory::Piece(piece))
    }

    /// Whether a pool may keep it while it is unused. A piece of a large region may not: the region
    /// is the system's again once it is whole.
    pub(super) const fn is_poolable(&self) -> bool {
        match &self.0 {
            Memory::Vector(_) => true,
            #[cfg(feature = "std")]
            Memory::Piece(piece) => piece.is_poolable(),
        }
    }

    /// How many bytes it has room for, in all.
    #[inline]
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Memory::Vector(vector) => vector.capacity(),
            #[cfg(feature = "std")]
            Memory::Piece(piece) => piece.bytes.capacity(),
        }
    }

    /// How many bytes are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are no bytes in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The bytes in it.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Memory::Vector(vector) => vector,
            #[cfg(feature = "std")]
            Memory::Piece(piece) => &piece.bytes,
        }
    }

    /// Leaves no more than the first `len` bytes in it.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Memory::Vector(vector) => vector.truncate(len),
            #[cfg(feature = "std")]
            Memory::Piece(piece) => piece.bytes.truncate(len),
        }
    }

    /// Appends a few bytes, for which there is room.
    #[inline]
    pub(crate) fn append(&mut self, data: &[u8]) {
        debug_assert!(self.len() + data.len() <= self.capacity());
        match &mut self.0 {
            Memory::Vector(vector) => vector.extend_from_slice(data),
            #[cfg(feature = "std")]
            Memory::Piece(piece) => piece.bytes.extend_from_slice(data),
        }
    }

    /// Appends a large block, for which there is room.
    pub(crate) fn append_block(&mut self, data: &[u8]) {
        debug_assert!(self.len() + data.len() <= self.capacity());
        match &mut self.0 {
            Memory::Vector(vector) => copying::put(vector, data),
            #[cfg(feature = "std")]
            Memory::Piece(piece) => copying::put(&mut piece.bytes, data),
        }
    }

    /// The vector.
    ///
    /// # Errors
    ///
    /// Gives the buffer back if it is a piece of `ThreadBuffers`.
    pub fn into_vec(self) -> Result<Vec<u8>, Self> {
        match self.0 {
            Memory::Vector(vector) => Ok(vector),
            #[cfg(feature = "std")]
            Memory::Piece(_) => Err(self),
        }
    }

    /// The bytes in it, to be shared. A piece goes back once the last of them is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.0 {
            Memory::Vector(vector) => Bytes::from(vector),
            #[cfg(feature = "std")]
            Memory::Piece(piece) => Bytes::from_owner(piece),
        }
    }

    /// The buffer, of which an empty vector is left.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::from(Vec::new()))
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(vector: Vec<u8>) -> Self {
        Self(Memory::Vector(vector))
    }
}

/// Without the data, which is the user's and does not belong in logs.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
