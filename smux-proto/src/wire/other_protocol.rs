//! Recognizes the protocol of a peer that does not speak smux, by its first byte.

use core::fmt;

/// Another protocol than smux.
///
/// The guess is made from the first byte alone: the verdict must not depend on how many bytes
/// arrive together, and the others may never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtherProtocol {
    /// HTTP: the request of a browser, a health check or a scanner, or a server's response.
    Http,
    /// TLS, from either side.
    Tls,
    /// SSH, from either side.
    Ssh,
}

impl OtherProtocol {
    /// The protocol that begins with this byte. None begins with a version of smux.
    pub(super) const fn guess(byte: u8) -> Option<Self> {
        match byte {
            // The response, and the methods CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PRI,
            // PUT and TRACE.
            b'C' | b'D' | b'G' | b'H' | b'O' | b'P' | b'T' => Some(Self::Http),
            b'S' => Some(Self::Ssh),
            // A handshake record.
            0x16 => Some(Self::Tls),
            _ => None,
        }
    }
}

impl fmt::Display for OtherProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
        })
    }
}
