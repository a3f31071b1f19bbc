//! What a datagram looks like, and what is no datagram of ours.
//!
//! kcptun's `--crypt null` is plain KCP. Its `--crypt none` puts 16 random bytes and a checksum
//! in front. Releases before 2022, Debian's among them, know only the second and encrypt with AES
//! if they are given `null`.

use std::fmt;

use crate::cli::KcpCrypt;

const NONCE: usize = 16;
/// Bytes in front of a KCP packet with `--crypt none`.
const FRAME: usize = NONCE + 4;

/// Bytes in front of a segment's data: conversation, command, fragment, window, time, number,
/// first number that is missing, length.
const SEGMENT: usize = 24;
const COMMAND: usize = 4;
const NUMBER: usize = 12;
const LENGTH: usize = 20;
/// Commands are those from `PUSH` on.
const PUSH: u8 = 81;
const LAST_COMMAND: u8 = 84;
/// What kcptun's error correction has where KCP has its command.
const ERROR_CORRECTION: [u8; 2] = [0xf1, 0xf2];

/// Why a datagram is dropped. It tells nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Short,
    Checksum,
    ErrorCorrection,
    Malformed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "too short for KCP",
            Self::Checksum => "the checksum is wrong: the other end may use another --crypt",
            Self::ErrorCorrection => "error correction is on: start kcptun with --ds 0 --ps 0",
            Self::Malformed => {
                "not KCP: the other end may use another --crypt, or error correction"
            }
        })
    }
}

/// A KCP packet whose segments are complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub bytes: &'a [u8],
    pub conversation: u32,
    /// It begins with the first data of a conversation.
    pub is_first: bool,
}

/// Bytes of the frame around a packet.
pub(super) fn frame(crypt: KcpCrypt) -> usize {
    match crypt {
        KcpCrypt::Null => 0,
        KcpCrypt::None => FRAME,
    }
}

/// Makes a datagram of `packet`.
pub(super) fn wrap(crypt: KcpCrypt, packet: &[u8], datagram: &mut Vec<u8>) {
    datagram.clear();
    if crypt == KcpCrypt::None {
        datagram.resize(NONCE, 0);
        fastrand::fill(datagram);
        datagram.extend(crc32fast::hash(packet).to_le_bytes());
    }
    datagram.extend_from_slice(packet);
}

/// Returns the packet in a datagram.
pub(super) fn unwrap(crypt: KcpCrypt, datagram: &[u8]) -> Result<Packet<'_>, Refused> {
    let bytes = match crypt {
        KcpCrypt::Null => datagram,
        KcpCrypt::None => {
            let (frame, packet) = datagram.split_at_checked(FRAME).ok_or(Refused::Short)?;
            if frame[NONCE..] != crc32fast::hash(packet).to_le_bytes() {
                return Err(Refused::Checksum);
            }
            packet
        }
    };
    check(bytes)?;
    Ok(Packet {
        bytes,
        conversation: number(bytes, 0),
        is_first: bytes[COMMAND] == PUSH && number(bytes, NUMBER) == 0,
    })
}

fn check(packet: &[u8]) -> Result<(), Refused> {
    if packet.len() < SEGMENT {
        return Err(Refused::Short);
    }
    let mut rest = packet;
    while rest.len() >= SEGMENT {
        if ERROR_CORRECTION.contains(&rest[COMMAND]) && rest[COMMAND + 1] == 0 {
            return Err(Refused::ErrorCorrection);
        }
        let length = usize::try_from(number(rest, LENGTH)).unwrap_or(usize::MAX);
        let is_known = (PUSH..=LAST_COMMAND).contains(&rest[COMMAND]);
        if !is_known || rest[..COMMAND] != packet[..COMMAND] || length > rest.len() - SEGMENT {
            return Err(Refused::Malformed);
        }
        rest = &rest[SEGMENT + length..];
    }
    Ok(())
}

/// The four bytes at `at`, which the caller knows to be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}
