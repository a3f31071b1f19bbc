//! Frames of smux version 1, as little as can be done with them.

use crate::work::MESSAGE;

pub(super) const SYN: u8 = 0;
pub(super) const FIN: u8 = 1;
pub(super) const PSH: u8 = 2;
const HEADER: usize = 8;
#[expect(clippy::cast_possible_truncation, reason = "64")]
const LENGTH: u16 = MESSAGE as u16;

pub(super) fn header(command: u8, length: u16, id: u32) -> [u8; HEADER] {
    let [l0, l1] = length.to_le_bytes();
    let [i0, i1, i2, i3] = id.to_le_bytes();
    [1, command, l0, l1, i0, i1, i2, i3]
}

/// Appends a frame without payload.
pub(super) fn push(out: &mut Vec<u8>, command: u8, id: u32) {
    out.extend_from_slice(&header(command, 0, id));
}

/// Appends a message.
pub(super) fn message(out: &mut Vec<u8>, id: u32) {
    out.extend_from_slice(&header(PSH, LENGTH, id));
    out.extend_from_slice(&[0x5a; MESSAGE]);
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) command: u8,
    pub(super) length: u16,
    pub(super) id: u32,
}

/// Finds the frames in bytes that are cut anywhere.
#[derive(Default)]
pub(super) struct Walker {
    header: [u8; HEADER],
    /// Bytes of the header that have arrived.
    filled: usize,
    /// Bytes of the payload that have not.
    payload: usize,
}

impl Walker {
    /// Calls `whole` with each frame that ends in `data`.
    pub(super) fn walk(&mut self, mut data: &[u8], mut whole: impl FnMut(&Frame)) {
        while !data.is_empty() {
            if self.filled < HEADER {
                let n = data.len().min(HEADER - self.filled);
                self.header[self.filled..][..n].copy_from_slice(&data[..n]);
                self.filled += n;
                data = &data[n..];
                if self.filled < HEADER {
                    return;
                }
                self.payload = usize::from(self.frame().length);
            }
            let n = data.len().min(self.payload);
            self.payload -= n;
            data = &data[n..];
            if self.payload == 0 {
                whole(&self.frame());
                self.filled = 0;
            }
        }
    }

    fn frame(&self) -> Frame {
        let [_, command, l0, l1, i0, i1, i2, i3] = self.header;
        Frame {
            command,
            length: u16::from_le_bytes([l0, l1]),
            id: u32::from_le_bytes([i0, i1, i2, i3]),
        }
    }
}
