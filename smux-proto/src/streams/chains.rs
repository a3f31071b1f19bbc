//! Where the streams of a table are found by id.

use alloc::{vec, vec::Vec};
use core::fmt;

use crate::wire::StreamId;

/// "No slot": no table has so many.
pub(super) const NONE: u32 = u32::MAX;

/// The first slots of chains. Streams stand in the same chain if their ids' hashes end alike.
pub(super) struct Chains {
    /// A power of two of them, or none.
    heads: Vec<u32>,
    hash: IdHash,
}

/// Without the seed, which is a secret.
impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = self.heads.iter().filter(|&&head| head != NONE);
        f.debug_set().entries(heads).finish()
    }
}

impl Chains {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            heads: Vec::new(),
            hash: IdHash::new(seed),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.heads.len()
    }

    /// The first slot of this id's chain; [`NONE`] if the chain is empty.
    #[inline]
    pub(super) fn head(&self, id: StreamId) -> u32 {
        self.heads.get(self.place(id)).copied().unwrap_or(NONE)
    }

    #[inline]
    pub(super) fn head_mut(&mut self, id: StreamId) -> Option<&mut u32> {
        let place = self.place(id);
        self.heads.get_mut(place)
    }

    /// Makes so many chains, a power of two or 0, which are empty.
    pub(super) fn reset(&mut self, chains: usize) {
        self.heads = vec![NONE; chains];
    }

    #[inline]
    fn place(&self, id: StreamId) -> usize {
        self.hash.of(id) & self.heads.len().wrapping_sub(1)
    }
}

/// A hash that no peer can foresee without the seed: ids of its choice collide no more often than
/// others.
///
/// One multiplication to 128 bits, whose halves are folded, mixes all of an id's 32 bits with all
/// of two secret numbers. With a general hash and table, it took 29 instructions more to find a
/// stream.
struct IdHash {
    mask: u64,
    factor: u64,
}

impl IdHash {
    const fn new(seed: u64) -> Self {
        Self {
            mask: spread(seed),
            // Odd, so that no two ids have the same product.
            factor: spread(!seed) | 1,
        }
    }

    /// All bits depend on the seed, the lowest as well as the highest.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    const fn of(&self, id: StreamId) -> usize {
        let product = (id.get() as u64 ^ self.mask) as u128 * self.factor as u128;
        (product as u64 ^ (product >> 64) as u64) as usize
    }
}

/// Makes a number of which every bit depends on every bit of the seed: seeds may be small or
/// consecutive. A round of xorshift and multiply, twice.
const fn spread(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ (bits >> 32)
}
