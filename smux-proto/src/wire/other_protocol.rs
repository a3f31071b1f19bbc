//! What a peer speaks that does not speak smux, by its first bytes.

use core::fmt;

/// Another protocol than smux. A guess from the bytes that had arrived when the first was wrong,
/// which may be as little as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtherProtocol {
    /// An HTTP client: a browser, a health check, a scanner.
    HttpRequest,
    /// An HTTP server or proxy.
    HttpResponse,
    /// TLS, from either side.
    Tls,
    /// SSH, from either side.
    Ssh,
}

/// How each begins. None begins with a version of smux.
const BEGINNINGS: [(&[u8], OtherProtocol); 13] = [
    (b"HTTP/", OtherProtocol::HttpResponse),
    (b"HEAD ", OtherProtocol::HttpRequest),
    (b"GET ", OtherProtocol::HttpRequest),
    (b"POST ", OtherProtocol::HttpRequest),
    (b"PUT ", OtherProtocol::HttpRequest),
    (b"PATCH ", OtherProtocol::HttpRequest),
    (b"PRI *", OtherProtocol::HttpRequest),
    (b"DELETE ", OtherProtocol::HttpRequest),
    (b"OPTIONS ", OtherProtocol::HttpRequest),
    (b"CONNECT ", OtherProtocol::HttpRequest),
    (b"TRACE ", OtherProtocol::HttpRequest),
    (b"SSH-", OtherProtocol::Ssh),
    // A handshake record of any version since SSL 3.
    (&[0x16, 3], OtherProtocol::Tls),
];

impl OtherProtocol {
    /// The first that begins like these bytes, as far as they go.
    pub(super) fn guess(bytes: &[u8]) -> Option<Self> {
        BEGINNINGS
            .into_iter()
            .find(|(beginning, _)| bytes.iter().zip(*beginning).all(|(a, b)| a == b))
            .map(|(_, protocol)| protocol)
    }
}

impl fmt::Display for OtherProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpRequest => "an HTTP request",
            Self::HttpResponse => "an HTTP response",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
        })
    }
}
