//! The values in a frame's header that have names: version, command, stream, and whose it is.

use core::{fmt, str::FromStr};

use crate::parse::ParseError;

/// The protocol version, the first byte of every frame of a session.
///
/// Nothing is negotiated: both ends must be configured alike, unless the accepting side
/// [detects](crate::ConfigBuilder::detect_version) the version.
///
/// As text it is `1` or `2`.
///
/// ```
/// # use smux_proto::Version;
/// assert_eq!("2".parse(), Ok(Version::V2));
/// assert_eq!(Version::V2.to_string(), "2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Version {
    /// One receive buffer shared by all streams; an unread stream can stop the others.
    V1 = 1,
    /// As 1, and each stream has a sliding window.
    V2 = 2,
}

impl Version {
    /// The version that a frame's first byte names, if there is such a version.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_byte().fmt(f)
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "1" => Ok(Self::V1),
            "2" => Ok(Self::V2),
            _ => Err(ParseError::new("a version of smux", "1 or 2")),
        }
    }
}

/// The number of a stream within its session: odd if the client opened it, even if the server did.
///
/// The first streams are 3 and 2; 1 and 0 are never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u32);

impl StreamId {
    /// The id with this number. Whether such a stream exists is the session's to say.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which end of the connection a session is. It decides the parity of the ids of its streams and
/// nothing else.
///
/// As text it is `client` or `server`.
///
/// ```
/// # use smux_proto::Side;
/// assert_eq!("server".parse(), Ok(Side::Server));
/// assert_eq!(Side::Server.to_string(), "server");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Opens streams 3, 5, 7 …
    Client,
    /// Opens streams 2, 4, 6 …
    Server,
}

impl Side {
    /// Whether streams with this id are opened by this side.
    pub const fn owns(self, id: StreamId) -> bool {
        matches!((self, id.0 % 2), (Self::Client, 1) | (Self::Server, 0))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl FromStr for Side {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            _ => Err(ParseError::new("a side", "client or server")),
        }
    }
}

/// What a frame asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// Opens a stream.
    Syn = 0,
    /// The sender will send no more data on this stream; a second one: nor will it read.
    Fin = 1,
    /// Data.
    Psh = 2,
    /// Keep-alive. Never answered, its stream id means nothing.
    Nop = 3,
    /// Window update, version 2 only.
    Upd = 4,
}

/// How a frame is scheduled: control frames of all streams leave before data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameClass {
    /// SYN, NOP and UPD.
    Control = 0,
    /// PSH, and FIN since it must stay behind the data of its stream.
    Data = 1,
}

impl Command {
    /// The command that a frame's second byte names, if there is such a command.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Syn),
            1 => Some(Self::Fin),
            2 => Some(Self::Psh),
            3 => Some(Self::Nop),
            4 => Some(Self::Upd),
            _ => None,
        }
    }

    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The class in which frames of this command are scheduled.
    pub const fn class(self) -> FrameClass {
        match self {
            Self::Syn | Self::Nop | Self::Upd => FrameClass::Control,
            Self::Fin | Self::Psh => FrameClass::Data,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN",
            Self::Fin => "FIN",
            Self::Psh => "PSH",
            Self::Nop => "NOP",
            Self::Upd => "UPD",
        })
    }
}
