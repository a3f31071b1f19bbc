//! Frames as the wire has them, with an encoder and a decoder of their own: a mistake in the code
//! under test cannot hide behind the same mistake here.

use std::fmt;

use smux_proto::Version;

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Opens a stream.
    Syn = 0,
    /// The sender will send no more data.
    Fin = 1,
    /// Data.
    Psh = 2,
    /// Keep-alive.
    Nop = 3,
    /// Window update.
    Upd = 4,
}

/// One frame, without the version: a session's frames all have the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The stream it is about; 0 in a NOP.
    pub id: u32,
    /// The payload, at most 65 535 bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    fn new(kind: Kind, id: u32, payload: Vec<u8>) -> Self {
        Self { kind, id, payload }
    }

    /// The frame on the wire.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let length = u16::try_from(self.payload.len()).expect("a payload has at most 65535 bytes");
        let mut bytes = vec![version as u8, self.kind as u8];
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// CONSUMED and WINDOW, if this is a window update.
    pub fn window_update(&self) -> Option<(u32, u32)> {
        let [a, b, c, d, e, f, g, h] = <[u8; 8]>::try_from(&*self.payload).ok()?;
        (self.kind == Kind::Upd).then(|| {
            (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )
        })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}", self.kind, self.id)?;
        match self.window_update() {
            Some((consumed, window)) => write!(f, ", consumed {consumed}, window {window}")?,
            None if self.payload.is_empty() => {}
            None if self.payload.len() <= 32 => {
                write!(f, ", {:?}", self.payload.escape_ascii().to_string())?
            }
            None => write!(f, ", {} bytes", self.payload.len())?,
        }
        f.write_str(")")
    }
}

/// Opens stream `id`.
pub fn syn(id: u32) -> Frame {
    Frame::new(Kind::Syn, id, Vec::new())
}

/// Ends one direction of stream `id`.
pub fn fin(id: u32) -> Frame {
    Frame::new(Kind::Fin, id, Vec::new())
}

/// Data on stream `id`.
pub fn psh(id: u32, data: impl AsRef<[u8]>) -> Frame {
    Frame::new(Kind::Psh, id, data.as_ref().to_vec())
}

/// Keep-alive.
pub fn nop() -> Frame {
    Frame::new(Kind::Nop, 0, Vec::new())
}

/// Window update of stream `id`: `consumed` bytes were read in all, `window` may be in flight.
pub fn upd(id: u32, consumed: u32, window: u32) -> Frame {
    let payload = [consumed.to_le_bytes(), window.to_le_bytes()].concat();
    Frame::new(Kind::Upd, id, payload)
}

/// Byte `i` is `i mod 251`: a lost, doubled or moved byte shows.
pub fn counting(len: usize) -> Vec<u8> {
    (0..251).cycle().take(len).collect()
}

/// Splits one frame off the front, with its version byte; `None` if it is incomplete.
///
/// # Panics
///
/// On an unknown version or command.
pub fn decode(bytes: &[u8]) -> Option<(u8, Frame, &[u8])> {
    let (&[version, command, l0, l1, i0, i1, i2, i3], rest) =
        bytes.split_first_chunk::<HEADER>()?;
    let (payload, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([l0, l1])))?;
    assert!(
        matches!(version, 1 | 2),
        "version {version} in {bytes:02x?}"
    );
    let kind = match command {
        0 => Kind::Syn,
        1 => Kind::Fin,
        2 => Kind::Psh,
        3 => Kind::Nop,
        4 => Kind::Upd,
        other => panic!("command {other}"),
    };
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    Some((version, Frame::new(kind, id, payload.to_vec()), rest))
}

/// Splits recorded output into frames.
///
/// # Panics
///
/// If the bytes are not whole frames of one version.
pub fn decode_all(mut bytes: &[u8]) -> Vec<Frame> {
    let first = bytes.first().copied();
    let mut frames = Vec::new();
    while let Some((version, frame, rest)) = decode(bytes) {
        assert_eq!(Some(version), first, "the version changed before {frame:?}");
        frames.push(frame);
        bytes = rest;
    }
    assert!(
        bytes.is_empty(),
        "{} bytes of an unfinished frame",
        bytes.len()
    );
    frames
}
