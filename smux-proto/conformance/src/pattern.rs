//! Stream content in which damage shows, with its place.

use std::{error::Error, fmt};

/// An odd factor makes the multiplication reversible, so no two blocks of any streams are equal.
/// This one, 2^64 divided by the golden ratio, spreads neighbours far apart.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

type Block = [u8; 8];
const BLOCK_LEN: u64 = 8;

/// The content of a stream, by seed and position.
///
/// Block `i` of 8 bytes, little-endian, is the product `(seed << 32 | i) * FACTOR` with its upper
/// half folded onto its lower half, so no byte depends on the low bits of `i` alone. A lost,
/// doubled or moved byte is detected. The pattern repeats after 32 GiB. The Go peer uses the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Selects one of the 2^32 patterns; a seed per stream distinguishes the streams.
    pub seed: u32,
}

impl Pattern {
    /// Fills `out` with the pattern from byte `offset` on.
    pub fn fill(self, offset: u64, out: &mut [u8]) {
        let mut index = offset / BLOCK_LEN;
        let begun = self.block(index);
        let begun = &begun[(offset % BLOCK_LEN) as usize..];
        let (first, rest) = out.split_at_mut(begun.len().min(out.len()));
        first.copy_from_slice(&begun[..first.len()]);
        for part in rest.chunks_mut(size_of::<Block>()) {
            index += 1;
            part.copy_from_slice(&self.block(index)[..part.len()]);
        }
    }

    /// Compares `data` with the pattern from byte `offset` on.
    ///
    /// # Errors
    ///
    /// The first byte that differs.
    pub fn check(self, offset: u64, data: &[u8]) -> Result<(), Mismatch> {
        let mut wanted = [0; 4096];
        let mut start = offset;
        for part in data.chunks(wanted.len()) {
            let wanted = &mut wanted[..part.len()];
            self.fill(start, wanted);
            if part != wanted {
                let differing = (start..)
                    .zip(part.iter().zip(wanted))
                    .find(|(_, (found, wanted))| *found != *wanted);
                if let Some((offset, (&found, &mut wanted))) = differing {
                    return Err(Mismatch {
                        seed: self.seed,
                        offset,
                        found,
                        wanted,
                    });
                }
            }
            start += part.len() as u64;
        }
        Ok(())
    }

    fn block(self, index: u64) -> Block {
        let number = u64::from(self.seed) << 32 | index & u64::from(u32::MAX);
        let product = number.wrapping_mul(FACTOR);
        (product ^ product >> 32).to_le_bytes()
    }
}

/// A byte that is not the one of the [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The pattern it was compared with.
    pub seed: u32,
    /// Where it stands in the pattern.
    pub offset: u64,
    /// The byte that came.
    pub found: u8,
    /// The byte that should have come.
    pub wanted: u8,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            offset,
            found,
            wanted,
        } = self;
        write!(
            f,
            "byte {offset} is {found:#04x}, not {wanted:#04x} (pattern of seed {seed})"
        )
    }
}

impl Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_bytes(seed: u32, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        Pattern { seed }.fill(0, &mut bytes);
        bytes
    }

    /// The Go side has the same golden value.
    #[test]
    fn the_pattern_equals_the_go_sides() {
        let mut bytes = [0; 16];
        Pattern { seed: 7 }.fill(5, &mut bytes);
        assert_eq!(hex::encode(bytes), "64097b59a20a664cde40192fa0ec4905");
    }

    #[test]
    fn the_pattern_does_not_depend_on_the_pieces() {
        let whole = first_bytes(3, 10_000);
        for piece in [1, 3, 8, 13, 4096, 5000] {
            let mut joined = vec![0; whole.len()];
            for (part, start) in joined.chunks_mut(piece).zip((0..).step_by(piece)) {
                Pattern { seed: 3 }.fill(start, part);
            }
            assert_eq!(joined, whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_lost_byte_is_reported_at_its_offset() {
        let mut bytes = first_bytes(3, 10_000);
        assert_eq!(Pattern { seed: 3 }.check(0, &bytes), Ok(()));
        let wanted = bytes.remove(5000);
        let mismatch = Mismatch {
            seed: 3,
            offset: 5000,
            found: bytes[5000],
            wanted,
        };
        assert_eq!(Pattern { seed: 3 }.check(0, &bytes), Err(mismatch));
    }

    #[test]
    fn a_moved_piece_is_reported_at_its_beginning() {
        let mut bytes = first_bytes(3, 10_000);
        bytes.copy_within(4096..8192, 1000);
        assert_eq!(
            Pattern { seed: 3 }
                .check(0, &bytes)
                .map_err(|mismatch| mismatch.offset),
            Err(1000)
        );
    }

    #[test]
    fn another_seed_is_a_mismatch() {
        assert!(Pattern { seed: 4 }.check(0, &first_bytes(3, 8)).is_err());
    }
}
