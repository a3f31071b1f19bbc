//! Violations of the protocol by the peer.

use core::fmt;

use super::{Command, OtherProtocol, Version};

/// The peer broke the protocol or passed a limit. It ends the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame of another version: the two ends are configured differently, or this is not smux.
    Version {
        /// This session's version; `None` if it waits to detect it.
        expected: Option<Version>,
        /// The version byte that arrived.
        got: u8,
    },
    /// The session began with bytes of another protocol.
    NotSmux(OtherProtocol),
    /// A command byte above 4.
    UnknownCommand(u8),
    /// SYN, FIN or NOP with a payload, or UPD with other than 8 bytes.
    Length {
        /// The frame's command.
        command: Command,
        /// The frame's length.
        length: u16,
    },
    /// A window update in a session of version 1.
    UpdateInV1,
    /// The peer opened more than `max_owed_refusals` streams without reading their refusals.
    TooManyRefusals,
    /// More than `max_glitches` useless frames in a short time.
    TooManyGlitches,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version {
                expected: Some(expected),
                got: got @ 1..=2,
            } => write!(
                f,
                "peer speaks smux version {got}, this session is version {}: configure both alike",
                expected.to_byte()
            ),
            Self::Version {
                expected: Some(expected),
                got,
            } => write!(
                f,
                "peer sent {got} where a frame of smux version {} begins",
                expected.to_byte()
            ),
            Self::Version {
                expected: None,
                got,
            } => write!(
                f,
                "peer's first byte is {got}: neither smux version 1 nor 2"
            ),
            Self::NotSmux(protocol) => {
                write!(f, "peer does not speak smux: this looks like {protocol}")
            }
            Self::UnknownCommand(command) => {
                write!(f, "peer sent unknown command {command}")
            }
            Self::Length { command, length } => {
                write!(f, "peer sent {command} with length {length}")
            }
            Self::UpdateInV1 => f.write_str("peer sent a window update in smux version 1"),
            Self::TooManyRefusals => {
                f.write_str("peer reads no refusals: more than max_owed_refusals are unsent")
            }
            Self::TooManyGlitches => {
                f.write_str("peer sent more useless frames than max_glitches allows")
            }
        }
    }
}

impl core::error::Error for ProtocolError {}
