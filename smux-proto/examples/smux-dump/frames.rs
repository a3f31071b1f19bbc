//! From the bytes of one direction to its frames.

use std::fmt;

use smux_proto::{Command, Header, ProtocolError, StreamId, Version, WindowUpdate};

/// A complete frame. What it carries is counted, not kept.
pub(crate) enum Frame {
    Syn(StreamId),
    Fin(StreamId),
    Nop,
    Psh(StreamId, u16),
    Upd(StreamId, WindowUpdate),
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nop => write!(f, "NOP"),
            Self::Syn(id) => write!(f, "SYN  stream {id}"),
            Self::Fin(id) => write!(f, "FIN  stream {id}"),
            Self::Psh(id, bytes) => write!(f, "PSH  stream {id}  {bytes} bytes"),
            Self::Upd(id, WindowUpdate { consumed, window }) => {
                write!(f, "UPD  stream {id}  consumed {consumed}, window {window}")
            }
        }
    }
}

/// Cuts the bytes of one direction into frames.
#[derive(Default)]
pub(crate) struct Frames {
    staged: Vec<u8>,
    /// The header of the frame under way, and bytes of it that are still to come.
    begun: Option<(Header, usize)>,
    version: Option<Version>,
    bytes: u64,
    /// Nothing behind bytes that are no frame can be understood.
    is_lost: bool,
}

impl Frames {
    pub(crate) const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Bytes that were seen.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of a frame that the capture cut off, and of how many.
    pub(crate) fn unfinished(&self) -> Option<(usize, usize)> {
        match self.begun {
            Some((header, left)) => {
                let whole = Header::SIZE + usize::from(header.length);
                Some((whole - left, whole))
            }
            None if self.staged.is_empty() || self.is_lost => None,
            None => Some((self.staged.len(), Header::SIZE)),
        }
    }

    /// Takes the next frame off `input`; `None` if it is not complete. An error ends the direction.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, String> {
        if self.is_lost {
            *input = &[];
            return Ok(None);
        }
        let frame = self.advance(input);
        self.is_lost = frame.is_err();
        frame
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, String> {
        let (header, left) = match self.begun {
            Some(begun) => begun,
            None => {
                let Some(bytes) = self.stage::<{ Header::SIZE }>(input) else {
                    return Ok(None);
                };
                let header = self.judge(bytes)?;
                (header, header.length.into())
            }
        };
        let id = header.stream_id;
        let is_update = header.command == Command::Upd;
        if is_update {
            let before = input.len();
            let update = self.stage::<{ WindowUpdate::SIZE }>(input);
            self.begun = Some((header, left - (before - input.len())));
            let Some(update) = update else {
                return Ok(None);
            };
            self.begun = None;
            return Ok(Some(Frame::Upd(id, WindowUpdate::decode(update))));
        }
        let taken = left.min(input.len());
        self.bytes += taken as u64;
        *input = &input[taken..];
        if taken < left {
            self.begun = Some((header, left - taken));
            return Ok(None);
        }
        self.begun = None;
        Ok(Some(match header.command {
            Command::Syn => Frame::Syn(id),
            Command::Fin => Frame::Fin(id),
            Command::Nop => Frame::Nop,
            Command::Psh | Command::Upd => Frame::Psh(id, header.length),
        }))
    }

    fn judge(&mut self, bytes: [u8; Header::SIZE]) -> Result<Header, String> {
        let at = self.bytes - Header::SIZE as u64;
        let header = Header::decode(bytes).map_err(|error| match error {
            ProtocolError::UnknownCommand(command) => {
                format!("byte {at}: no command has the number {command}")
            }
            _ => format!(
                "byte {at}: no frame begins with {}, so this is not smux, or the capture lacks \
                 bytes before it",
                bytes.escape_ascii()
            ),
        })?;
        match self.version {
            Some(version) if version != header.version => {
                return Err(format!(
                    "byte {at}: a frame of version {} among those of version {}",
                    header.version.to_byte(),
                    version.to_byte()
                ));
            }
            _ => self.version = Some(header.version),
        }
        let Header {
            command, length, ..
        } = header;
        match command {
            Command::Upd if header.version == Version::V1 => {
                Err(format!("byte {at}: an UPD in version 1"))
            }
            Command::Upd if usize::from(length) != WindowUpdate::SIZE => {
                Err(format!("byte {at}: an UPD of {length} bytes instead of 8"))
            }
            Command::Syn | Command::Fin | Command::Nop if length > 0 => {
                Err(format!("byte {at}: a {command} with {length} bytes"))
            }
            _ => Ok(header),
        }
    }

    /// Returns the next `N` bytes once they are complete.
    fn stage<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let (now, later) = input.split_at(input.len().min(N - self.staged.len()));
        self.staged.extend_from_slice(now);
        self.bytes += now.len() as u64;
        *input = later;
        let bytes = self.staged.as_slice().try_into().ok()?;
        self.staged.clear();
        Some(bytes)
    }
}
