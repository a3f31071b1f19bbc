//! The wire format: an 8-byte header, then `length` bytes of payload.
//!
//! ```text
//! VERSION(1) | CMD(1) | LENGTH(2, little-endian) | STREAMID(4, little-endian) | DATA(LENGTH)
//! ```
//!
//! SYN, FIN and NOP have no payload; UPD (version 2 only) has the eight bytes of a
//! [`WindowUpdate`]; PSH carries 1 to 65 535 bytes of data.

use super::{Command, ProtocolError, StreamId, Version};

/// The first eight bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The version of the session that sent it.
    pub version: Version,
    /// What the frame asks for.
    pub command: Command,
    /// Bytes of payload that follow.
    pub length: u16,
    /// The stream that it is about; 0 in a NOP.
    pub stream_id: StreamId,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = 8;

    /// The header's bytes on the wire.
    pub const fn encode(self) -> [u8; Self::SIZE] {
        let [l0, l1] = self.length.to_le_bytes();
        let [s0, s1, s2, s3] = self.stream_id.get().to_le_bytes();
        [
            self.version.to_byte(),
            self.command.to_byte(),
            l0,
            l1,
            s0,
            s1,
            s2,
            s3,
        ]
    }

    /// Reads a header. Whether it fits its session (version, length) is for the session to judge.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Version`] if the first byte is neither 1 nor 2,
    /// [`ProtocolError::UnknownCommand`] if the second is above 4.
    pub const fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, ProtocolError> {
        let [version, command, l0, l1, s0, s1, s2, s3] = bytes;
        let Some(version) = Version::from_byte(version) else {
            return Err(ProtocolError::Version {
                expected: None,
                got: version,
            });
        };
        let Some(command) = Command::from_byte(command) else {
            return Err(ProtocolError::UnknownCommand(command));
        };
        Ok(Self {
            version,
            command,
            length: u16::from_le_bytes([l0, l1]),
            stream_id: StreamId::new(u32::from_le_bytes([s0, s1, s2, s3])),
        })
    }
}

/// The payload of an UPD: how far the receiver has read and how much it will take beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowUpdate {
    /// Bytes that the receiver's application has read since the stream began, modulo 2^32.
    pub consumed: u32,
    /// Bytes that may be in flight beyond `consumed`. Senders in use take 2^31 and more as
    /// negative.
    pub window: u32,
}

impl WindowUpdate {
    /// Bytes of the payload of an UPD.
    pub const SIZE: usize = 8;

    /// The payload's bytes on the wire.
    pub const fn encode(self) -> [u8; Self::SIZE] {
        let [c0, c1, c2, c3] = self.consumed.to_le_bytes();
        let [w0, w1, w2, w3] = self.window.to_le_bytes();
        [c0, c1, c2, c3, w0, w1, w2, w3]
    }

    /// Reads the payload of an UPD; every value is possible.
    pub const fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let [c0, c1, c2, c3, w0, w1, w2, w3] = bytes;
        Self {
            consumed: u32::from_le_bytes([c0, c1, c2, c3]),
            window: u32::from_le_bytes([w0, w1, w2, w3]),
        }
    }
}
