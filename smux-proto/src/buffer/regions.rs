//! Large buffers, apart from the small blocks of the program.
//!
//! An allocator that holds large buffers and small blocks side by side can seldom give memory back:
//! some block that lives on lies behind the buffers. A second after a rush, 500 pairs of sessions
//! held 34 KB each, of which 14 were of use. So large buffers are pieces of regions, and a region
//! whose pieces have all come back is freed as a whole.
//!
//! The first region of each size of piece stays. It is small, and its pieces may wait for their
//! next use in the pools of threads. Pieces of further regions come back at once.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    vec::Vec,
};

use bytes::{Bytes, BytesMut};

/// Sizes of pieces: what long queues consist of, and the largest buffer.
const SIZES: [usize; 2] = [1 << 15, 1 << 16];

/// The size of regions that stay.
const FIRST: usize = 1 << 20;

/// The size of further regions: more than what allocators take out of memory that they keep. The
/// GNU library maps every block above 32 MiB on its own, and others from 1 MiB on. The system
/// provides what is used of it, and no more.
const FURTHER: usize = if cfg!(all(
    target_env = "gnu",
    target_pointer_width = "64",
    not(windows),
    not(miri)
)) {
    (32 << 20) + SIZES[1]
} else {
    1 << 20
};

static REGIONS: [Mutex<Regions>; 2] = [
    Mutex::new(Regions::new(SIZES[0])),
    Mutex::new(Regions::new(SIZES[1])),
];

/// A part of a region. Dropping it gives it back.
pub(super) struct Piece {
    pub(super) bytes: BytesMut,
    region: u64,
}

impl Piece {
    /// An empty piece of this size, if there are pieces of it and memory for one.
    pub(super) fn new(size: usize) -> Option<Self> {
        let (bytes, region) = regions(size)?.take()?;
        Some(Self { bytes, region })
    }

    pub(super) const fn is_poolable(&self) -> bool {
        self.region == 0
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        let whole = regions(bytes.capacity()).and_then(|mut of| of.put(bytes, self.region));
        // The system takes its pages away, which takes long: the lock is free by now.
        drop(whole);
    }
}

/// Those with pieces of this size.
fn regions(size: usize) -> Option<MutexGuard<'static, Regions>> {
    let index = SIZES.iter().position(|&one| one == size)?;
    Some(
        REGIONS[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

/// All regions with pieces of one size, in the order of their names.
struct Regions {
    regions: Vec<Region>,
    size: usize,
    /// The name of the next region. The first is 0.
    next: u64,
}

struct Region {
    name: u64,
    /// What was never used.
    rest: BytesMut,
    /// Pieces that are back. The one that came last is used first: a cache still has it.
    free: Vec<BytesMut>,
    lent: usize,
}

impl Regions {
    const fn new(size: usize) -> Self {
        Self {
            regions: Vec::new(),
            size,
            next: 0,
        }
    }

    /// A piece of the oldest region that has one, so that the others become whole.
    fn take(&mut self) -> Option<(BytesMut, u64)> {
        let size = self.size;
        let found = self.regions.iter_mut().find_map(|region| region.take(size));
        found.or_else(|| self.grow()?.take(size))
    }

    fn grow(&mut self) -> Option<&mut Region> {
        let size = if self.next == 0 { FIRST } else { FURTHER };
        self.regions.push(Region {
            name: self.next,
            rest: reserve(size)?,
            free: Vec::new(),
            lent: 0,
        });
        self.next += 1;
        self.regions.last_mut()
    }

    /// Takes a piece back. Returns its region if it is whole and does not stay.
    fn put(&mut self, mut piece: BytesMut, name: u64) -> Option<Region> {
        let found = self
            .regions
            .binary_search_by_key(&name, |region| region.name);
        let index = found.ok()?;
        let region = &mut self.regions[index];
        piece.clear();
        region.free.push(piece);
        region.lent -= 1;
        (region.lent == 0 && name != 0).then(|| self.regions.remove(index))
    }
}

impl Region {
    fn take(&mut self, size: usize) -> Option<(BytesMut, u64)> {
        let piece = match self.free.pop() {
            Some(piece) => piece,
            None if self.rest.capacity() < size => return None,
            None => {
                let rest = self.rest.split_off(size);
                mem::replace(&mut self.rest, rest)
            }
        };
        self.lent += 1;
        Some((piece, self.name))
    }
}

/// Memory of this size, untouched, if there is so much.
fn reserve(size: usize) -> Option<BytesMut> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(size).ok()?;
    Some(BytesMut::from(Bytes::from(memory)))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{FIRST, FURTHER, Regions, SIZES};

    const SIZE: usize = SIZES[1];

    #[test]
    fn pieces_are_apart() {
        let mut regions = Regions::new(SIZE);
        let mut pieces: Vec<_> = (0..3 * FIRST / SIZE)
            .map(|_| regions.take().expect("memory"))
            .collect();
        for (number, (piece, _)) in pieces.iter_mut().enumerate() {
            assert_eq!((piece.len(), piece.capacity()), (0, SIZE));
            piece.resize(SIZE, u8::try_from(number).unwrap());
        }
        for (number, (piece, _)) in pieces.iter().enumerate() {
            assert!(piece.iter().all(|&byte| usize::from(byte) == number));
        }
    }

    #[test]
    fn a_region_that_is_whole_again_is_freed_unless_it_is_the_first() {
        let mut regions = Regions::new(SIZE);
        let count = FIRST / SIZE + FURTHER / SIZE + 1;
        let mut pieces: Vec<_> = (0..count)
            .map(|_| regions.take().expect("memory"))
            .collect();
        assert_eq!(regions.regions.len(), 3);

        let (last, third) = pieces.pop().expect("a piece of the third region");
        assert!(regions.put(last, third).is_some());
        let (kept, second) = pieces.pop().expect("a piece of the second region");
        for (piece, name) in pieces {
            assert!(regions.put(piece, name).is_none());
        }
        assert!(regions.put(kept, second).is_some());
        assert_eq!(regions.regions.len(), 1);
    }

    #[test]
    fn the_oldest_region_with_a_piece_provides_it() {
        let mut regions = Regions::new(SIZE);
        let first: Vec<_> = (0..FIRST / SIZE)
            .map(|_| regions.take().expect("memory"))
            .collect();
        let (further, name) = regions.take().expect("memory");
        assert_ne!(name, first[0].1);
        for (piece, name) in first {
            assert!(regions.put(piece, name).is_none());
        }
        assert_eq!(regions.take().map(|(_, name)| name), Some(0));
        assert!(regions.put(further, name).is_some());
    }
}
