//! The request that an opener sends at the head of each stream, and the acceptor's receipt. The Go
//! peer's counterpart is `request.go`.

use std::{error::Error, fmt};

use crate::pattern::Pattern;

/// The pattern whose beginning an acceptor sends if it speaks first.
pub const GREETING: Pattern = Pattern { seed: 0 };

/// How many bytes of [`GREETING`] it sends.
pub const GREETING_LEN: usize = 64;

/// A write of [`Op::PourTogether`].
pub const TOGETHER_PIECE: u64 = 64 << 10;

/// What the acceptor of a stream does with it. `length` and `seed` are those of the [`Request`];
/// "the pattern" is [`Pattern`] with that seed, from offset 0 in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Sends back what arrives, until the end of the stream; then closes.
    Echo = 1,
    /// Reads `length` bytes of the pattern, answers with a [`Receipt`], waits for the end of the
    /// stream, closes.
    Drain = 2,
    /// Sends `length` bytes of the pattern, closes.
    Pour = 3,
    /// Reads the pattern to the end of the stream, answers with a receipt and `length` bytes of the
    /// pattern, closes.
    ReplyAtEof = 4,
    /// As [`ReplyAtEof`](Self::ReplyAtEof), but closes only after a [`Release`](Self::Release) with
    /// the same seed: a Go opener that has half-closed loses what it has not read when our FIN
    /// comes.
    ReplyHeld = 5,
    /// Sends `length` bytes of the pattern, half-closes, reads the pattern to the end of the
    /// stream, closes.
    FinFirst = 6,
    /// Reads nothing until a [`Release`](Self::Release) with the same seed, then does as
    /// [`Drain`](Self::Drain).
    Hold = 7,
    /// Is silent for `length` milliseconds, then does as [`Echo`](Self::Echo).
    Idle = 8,
    /// Reads `length` bytes of the pattern, then stops, though more may come. A Go acceptor sends
    /// two FINs (`CloseWrite` and `Close`) where its release has `CloseWrite`, else one.
    Abandon = 9,
    /// Lets the stream that is held under `seed` go on; answers with an empty receipt, waits for
    /// the end of the stream, closes.
    Release = 10,
    /// Waits until the receipt of the stream with `seed` has `length` bytes.
    /// [`FinFirst`](Self::FinFirst) and [`ReadLast`](Self::ReadLast) count received bytes,
    /// [`CloseInWrite`](Self::CloseInWrite) sent ones. Answers with it, waits for the end of the
    /// stream, closes. It lets the opener keep its FIN back until a Go acceptor has nothing unread
    /// that the FIN would make it lose.
    Report = 11,
    /// Sends `length` bytes of the pattern, half-closes, reads the pattern to the end of the
    /// stream, closes. A Go acceptor reads only once the opener's FIN has come: see
    /// [`Release::keeps_unread_data`](crate::go::Release::keeps_unread_data).
    ReadLast = 12,
    /// Closes in the middle of a write of `length` bytes of the pattern, at the opener's first
    /// byte. Only a Go acceptor can: most of that write follows its FIN.
    CloseInWrite = 13,
    /// Has four writers write to the stream at the same time until each has written `length` bytes,
    /// in writes of [`TOGETHER_PIECE`]; closes. Their frames mix, so each byte of a write has the
    /// writer in its two upper bits and the lower six bits of the write's number in the others. A
    /// write that fails is sent in part. Only a Go acceptor does this.
    PourTogether = 14,
}

impl Op {
    const ALL: [Self; 14] = [
        Self::Echo,
        Self::Drain,
        Self::Pour,
        Self::ReplyAtEof,
        Self::ReplyHeld,
        Self::FinFirst,
        Self::Hold,
        Self::Idle,
        Self::Abandon,
        Self::Release,
        Self::Report,
        Self::ReadLast,
        Self::CloseInWrite,
        Self::PourTogether,
    ];
}

/// The first bytes of an opener on each stream: the op (u8), `length` (u64) and `seed` (u32),
/// little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub op: Op,
    /// How much of it, in bytes (milliseconds for [`Op::Idle`]).
    pub length: u64,
    /// The seed of the pattern; also the name by which streams of one session refer to each other.
    pub seed: u32,
}

impl Request {
    /// Bytes of an encoded request.
    pub const LEN: usize = 1 + 8 + 4;

    /// The bytes to send.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[0] = self.op as u8;
        out[1..9].copy_from_slice(&self.length.to_le_bytes());
        out[9..].copy_from_slice(&self.seed.to_le_bytes());
        out
    }

    /// The request in the first bytes of a stream.
    ///
    /// # Errors
    ///
    /// [`UnknownOp`] with the first byte, if there is no such op.
    pub fn decode(raw: [u8; Self::LEN]) -> Result<Self, UnknownOp> {
        let [op, l0, l1, l2, l3, l4, l5, l6, l7, s0, s1, s2, s3] = raw;
        Ok(Self {
            op: Op::ALL
                .into_iter()
                .find(|known| *known as u8 == op)
                .ok_or(UnknownOp(op))?,
            length: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            seed: u32::from_le_bytes([s0, s1, s2, s3]),
        })
    }
}

/// The first byte of a stream stands for no [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownOp(pub u8);

impl fmt::Display for UnknownOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no op has the number {}", self.0)
    }
}

impl Error for UnknownOp {}

/// What an acceptor has received on a stream, without the request. On the wire: the count (u64) and
/// the CRC-32/IEEE (u32), little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How many bytes.
    pub count: u64,
    /// CRC-32/IEEE of the bytes.
    pub crc: u32,
}

impl Receipt {
    /// Bytes of an encoded receipt.
    pub const LEN: usize = 8 + 4;

    /// What a peer must answer that has received the first `length` bytes of `pattern`.
    #[must_use]
    pub fn of(pattern: Pattern, length: u64) -> Self {
        let mut receipt = Self::default();
        let mut chunk = [0; 4096];
        while receipt.count < length {
            let left = usize::try_from(length - receipt.count).unwrap_or(usize::MAX);
            let part = &mut chunk[..left.min(4096)];
            pattern.fill(receipt.count, part);
            receipt.add(part);
        }
        receipt
    }

    /// Counts in what was received next.
    pub fn add(&mut self, data: &[u8]) {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.crc);
        hasher.update(data);
        self.crc = hasher.finalize();
        self.count += data.len() as u64;
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&self.count.to_le_bytes());
        out[8..].copy_from_slice(&self.crc.to_le_bytes());
        out
    }

    /// The receipt in these bytes.
    #[must_use]
    pub fn decode(raw: [u8; Self::LEN]) -> Self {
        let [n0, n1, n2, n3, n4, n5, n6, n7, c0, c1, c2, c3] = raw;
        Self {
            count: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The Go side has the same two golden values.

    #[test]
    fn a_request_is_encoded_as_in_go() {
        let request = Request {
            op: Op::Drain,
            length: 0x0102_0304_0506_0708,
            seed: 0x0a0b_0c0d,
        };
        let raw = request.encode();
        assert_eq!(hex::encode(raw), "0208070605040302010d0c0b0a");
        assert_eq!(Request::decode(raw), Ok(request));
    }

    #[test]
    fn a_receipt_is_encoded_as_in_go() {
        let receipt = Receipt::of(Pattern { seed: 7 }, 100_001);
        assert_eq!(
            receipt,
            Receipt {
                count: 100_001,
                crc: 0x41fd_53fa
            }
        );
        assert_eq!(Receipt::decode(receipt.encode()), receipt);
    }

    #[test]
    fn only_known_ops_are_decoded() {
        for number in 0..=u8::MAX {
            let mut raw = [0; Request::LEN];
            raw[0] = number;
            match Request::decode(raw) {
                Ok(request) => assert_eq!(request.op as u8, number),
                Err(error) => assert_eq!(error, UnknownOp(number)),
            }
            assert_eq!(
                Request::decode(raw).is_ok(),
                (1..=14).contains(&number),
                "op {number}"
            );
        }
    }
}
