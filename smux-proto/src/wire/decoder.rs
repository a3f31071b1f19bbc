//! Decodes bytes, in any pieces, to frames. It knows the format, but no sessions or streams.

use super::{Command, Header, OtherProtocol, ProtocolError, StreamId, Version, WindowUpdate};

/// A position in the byte stream. No more than eight bytes are ever held back.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The version that every frame must have; `None` until the first frame decides it.
    version: Option<Version>,
    /// A frame has begun.
    has_begun: bool,
    state: State,
    staged: [u8; 8],
    staged_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// Bytes of a PSH still to come.
    Payload(usize),
    /// The body of an update for this stream.
    Update(StreamId),
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A frame begins. SYN, FIN, NOP and an empty PSH are complete with it.
    Header {
        header: Header,
        /// All of the payload of a PSH, if it is there.
        payload: Option<&'a [u8]>,
    },
    /// Payload of the PSH that began last.
    Payload {
        bytes: &'a [u8],
        /// The frame ends with these bytes.
        is_last: bool,
    },
    /// The body of the UPD that began last.
    Update(StreamId, WindowUpdate),
}

/// A frame that is there as a whole.
pub(crate) enum WholeFrame {
    Syn(StreamId),
    Fin(StreamId),
    /// The header, at least, of data.
    Data,
}

/// A frame of data that is there as a whole.
pub(crate) struct WholeData<'a> {
    pub(crate) stream_id: StreamId,
    /// At least a byte.
    pub(crate) payload: &'a [u8],
    /// What follows the frame.
    pub(crate) later: &'a [u8],
    /// Both.
    pub(crate) behind: &'a [u8],
}

impl Decoder {
    pub(crate) const fn new(version: Option<Version>) -> Self {
        Self {
            version,
            has_begun: false,
            state: State::Header,
            staged: [0; 8],
            staged_len: 0,
        }
    }

    /// Whether the next byte begins a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.state == State::Header && self.staged_len == 0
    }

    /// The version that frames have, if the next byte begins one that is not the first.
    pub(crate) fn next_version(&self) -> Option<Version> {
        self.version
            .filter(|_| self.has_begun && self.is_between_frames())
    }

    /// What the input begins with, if it is one of these and has this version.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn whole_frame(version: Version, input: &[u8]) -> Option<WholeFrame> {
        // Loaded and compared as a whole: of SYN and FIN, the length is 0.
        let header = u64::from_le_bytes(*input.first_chunk()?);
        let (start, id) = (header as u32, StreamId::new((header >> 32) as u32));
        if start == start_of(version, Command::Fin).into() {
            Some(WholeFrame::Fin(id))
        } else if start == start_of(version, Command::Syn).into() {
            Some(WholeFrame::Syn(id))
        } else if start as u16 == start_of(version, Command::Psh) {
            Some(WholeFrame::Data)
        } else {
            None
        }
    }

    /// The frame of data that the input begins with, if it has this version and is there as a
    /// whole.
    #[inline(always)]
    pub(crate) fn whole_data(version: Version, input: &[u8]) -> Option<WholeData<'_>> {
        let (header, behind) = input.split_first_chunk::<{ Header::SIZE }>()?;
        let header = u64::from_le_bytes(*header);
        #[allow(clippy::cast_possible_truncation)]
        let (start, length, id) = (header as u16, (header >> 16) as u16, (header >> 32) as u32);
        if start != start_of(version, Command::Psh) || length == 0 {
            return None;
        }
        let (payload, later) = behind.split_at_checked(length.into())?;
        Some(WholeData {
            stream_id: StreamId::new(id),
            payload,
            later,
            behind,
        })
    }

    /// Takes the next item off `input`; `None` if its bytes have not all arrived, which takes them.
    // Inlined into its one caller, an item is never built in memory.
    #[inline(always)]
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<Item<'a>>, ProtocolError> {
        match self.state {
            State::Header => {
                // A wrong first byte is told at once: the others may never come.
                if self.staged_len == 0
                    && input.len() < Header::SIZE
                    && let Some(&first) = input.first()
                {
                    self.check_version(first)?;
                }
                let Some(bytes) = self.stage(input) else {
                    return Ok(None);
                };
                let header = self.begin_frame(bytes)?;
                // A frame that is there as a whole is one step, with nothing to remember meanwhile.
                let mut payload = None;
                if let State::Payload(length) = self.state
                    && let Some((all, later)) = input.split_at_checked(length)
                {
                    *input = later;
                    self.state = State::Header;
                    payload = Some(all);
                }
                Ok(Some(Item::Header { header, payload }))
            }
            State::Payload(left) => {
                let (bytes, later) = input.split_at(left.min(input.len()));
                *input = later;
                let is_last = bytes.len() == left;
                self.state = match is_last {
                    true => State::Header,
                    false => State::Payload(left - bytes.len()),
                };
                Ok(Some(Item::Payload { bytes, is_last }))
            }
            State::Update(id) => Ok(self.stage(input).map(|bytes| {
                self.state = State::Header;
                Item::Update(id, WindowUpdate::decode(bytes))
            })),
        }
    }

    /// Checks a header before it has any effect: version, then command, then length.
    #[inline(always)]
    fn begin_frame(&mut self, bytes: [u8; 8]) -> Result<Header, ProtocolError> {
        let version = self.check_version(bytes[0])?;
        let header = Header::decode(bytes)?;
        let Header {
            command,
            length,
            stream_id,
            ..
        } = header;
        if command == Command::Upd && version == Version::V1 {
            return Err(ProtocolError::UpdateInV1);
        }
        let fits = match command {
            Command::Psh => true,
            Command::Upd => usize::from(length) == WindowUpdate::SIZE,
            Command::Syn | Command::Fin | Command::Nop => length == 0,
        };
        if !fits {
            return Err(ProtocolError::Length { command, length });
        }
        match command {
            Command::Psh if length > 0 => self.state = State::Payload(length.into()),
            Command::Upd => self.state = State::Update(stream_id),
            Command::Psh | Command::Syn | Command::Fin | Command::Nop => {}
        }
        self.version = Some(version);
        self.has_begun = true;
        Ok(header)
    }

    /// Judges the first byte of a frame. The first frame decides, if the version is to be detected;
    /// then all must be alike.
    #[inline]
    fn check_version(&self, got: u8) -> Result<Version, ProtocolError> {
        match self.version {
            Some(expected) if expected.to_byte() == got => Ok(expected),
            expected => self.check_first(expected, got),
        }
    }

    /// Judges a first byte that is not the expected one.
    #[cold]
    fn check_first(&self, expected: Option<Version>, got: u8) -> Result<Version, ProtocolError> {
        match Version::from_byte(got) {
            Some(version) if expected.is_none() => Ok(version),
            _ => Err(match OtherProtocol::guess(got) {
                Some(protocol) if !self.has_begun => ProtocolError::NotSmux(protocol),
                _ => ProtocolError::Version { expected, got },
            }),
        }
    }

    /// Eight bytes, once they are complete.
    #[inline]
    fn stage(&mut self, data: &mut &[u8]) -> Option<[u8; 8]> {
        if self.staged_len == 0
            && let Some((eight, rest)) = data.split_first_chunk()
        {
            *data = rest;
            return Some(*eight);
        }
        let room = self.staged.len() - self.staged_len;
        let (now, later) = data.split_at(room.min(data.len()));
        self.staged[self.staged_len..][..now.len()].copy_from_slice(now);
        self.staged_len += now.len();
        *data = later;
        if self.staged_len < self.staged.len() {
            return None;
        }
        self.staged_len = 0;
        Some(self.staged)
    }
}

/// The first two bytes of a frame.
const fn start_of(version: Version, command: Command) -> u16 {
    u16::from_le_bytes([version.to_byte(), command.to_byte()])
}
