//! Errors of a running session, and their conversion to `std::io::Error`.

use alloc::sync::Arc;
use core::fmt;

use crate::wire::ProtocolError;

/// Why a session ended: one reason, the same for every call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Closed here.
    Local,
    /// Aborted here, or the driver was dropped.
    Aborted,
    /// The transport ended between two frames: the peer closed it.
    PeerClosed,
    /// The transport ended before the peer had sent anything: it does not speak smux, or had no use
    /// for the session.
    PeerNeverSpoke,
    /// The transport ended inside a frame.
    Truncated,
    /// The peer broke the protocol or passed a limit.
    Protocol(ProtocolError),
    /// Nothing was received for the keep-alive timeout, from a peer that had sent keep-alives
    /// before.
    KeepAliveTimeout,
    /// A write to the transport made no progress, or a flush did not end, for the keep-alive
    /// timeout, and nothing was received in that time.
    WriteTimeout,
    /// The transport failed. If only writing failed, and the session was not closing, data that the
    /// peer had sent is still received, to the end of the input. That lasts for `close_timeout` at
    /// most, and ends earlier when the session is closed here or its last handle is dropped.
    Transport(TransportError),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("session closed"),
            Self::Aborted => f.write_str("session aborted"),
            Self::PeerClosed => f.write_str("session closed by the peer"),
            Self::PeerNeverSpoke => f.write_str(
                "peer closed the connection before sending anything: does it speak smux?",
            ),
            Self::Truncated => f.write_str("transport ended inside a frame"),
            Self::Protocol(error) => error.fmt(f),
            Self::KeepAliveTimeout => f.write_str("peer was silent for the keep-alive timeout"),
            Self::WriteTimeout => {
                f.write_str("transport made no progress for the keep-alive timeout")
            }
            Self::Transport(error) => error.fmt(f),
        }
    }
}

/// An error of the transport: its text, and with feature `std` its kind. Unlike an I/O error it can
/// be cloned.
///
/// With feature `std` it keeps the I/O error that it was made of, as its
/// [`source`](core::error::Error::source). Errors are equal if their texts and kinds are.
// One pointer: the result of every read and write has room for it, and drops it.
#[derive(Clone, Debug)]
pub struct TransportError(Arc<Failure>);

#[derive(Debug)]
struct Failure {
    message: Arc<str>,
    #[cfg(feature = "std")]
    kind: std::io::ErrorKind,
    #[cfg(feature = "std")]
    source: Option<std::io::Error>,
}

impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "std")]
        if self.0.kind != other.0.kind {
            return false;
        }
        self.0.message == other.0.message
    }
}

impl Eq for TransportError {}

impl TransportError {
    /// An error with this text; as an I/O error of kind `Other`.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Failure {
            message: message.into(),
            #[cfg(feature = "std")]
            kind: std::io::ErrorKind::Other,
            #[cfg(feature = "std")]
            source: None,
        }))
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for TransportError {
    fn from(error: std::io::Error) -> Self {
        use alloc::string::ToString;
        Self(Arc::new(Failure {
            message: error.to_string().into(),
            kind: error.kind(),
            source: Some(error),
        }))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport failed: {}", self.0.message)
    }
}

/// Why no stream could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// This side has used all 2^31 ids: open a new session. The streams that exist go on.
    IdsExhausted,
    /// The session is draining.
    Draining,
    /// The session has ended.
    Closed(CloseReason),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdsExhausted => f.write_str("all stream ids are used up: open a new session"),
            Self::Draining => f.write_str("session is draining and opens no more streams"),
            Self::Closed(reason) => reason.fmt(f),
        }
    }
}

/// Why a stream could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// Written after `finish`.
    Finished,
    /// The peer closed the stream and will read no more.
    Stopped,
    /// The peer acknowledged more than was sent; writing works again if it corrects that.
    AcknowledgedTooMuch,
    /// This side ended the stream because the receive buffer was full: the peer had sent beyond the
    /// stream's window, or in version 1 the stream was not read and
    /// [`SlowReaderPolicy::Evict`](crate::SlowReaderPolicy::Evict) is set.
    Evicted,
    /// The session has ended.
    Closed(CloseReason),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("stream was finished here and takes no more data"),
            Self::Stopped => f.write_str("peer closed the stream and reads no more"),
            Self::AcknowledgedTooMuch => f.write_str("peer acknowledged more than was sent"),
            Self::Evicted => {
                f.write_str("stream evicted: it held too much of a full receive buffer")
            }
            Self::Closed(reason) => reason.fmt(f),
        }
    }
}

impl From<ProtocolError> for CloseReason {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<CloseReason> for OpenError {
    fn from(reason: CloseReason) -> Self {
        Self::Closed(reason)
    }
}

impl From<CloseReason> for StreamError {
    fn from(reason: CloseReason) -> Self {
        Self::Closed(reason)
    }
}

impl core::error::Error for CloseReason {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Transport(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for TransportError {
    #[cfg(feature = "std")]
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        let error: &std::io::Error = self.0.source.as_ref()?;
        Some(error)
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Closed(reason) => Some(reason),
            _ => None,
        }
    }
}

impl core::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Closed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The only table from these errors to I/O error kinds. The I/O error holds the typed one, which
/// `get_ref` returns and whose `source` is its cause.
#[cfg(feature = "std")]
mod io {
    use std::io::{Error, ErrorKind};

    use super::{CloseReason, OpenError, ProtocolError, StreamError};

    impl CloseReason {
        fn kind(&self) -> ErrorKind {
            match self {
                Self::Local => ErrorKind::NotConnected,
                Self::Aborted | Self::PeerClosed | Self::PeerNeverSpoke => {
                    ErrorKind::ConnectionAborted
                }
                Self::Truncated => ErrorKind::UnexpectedEof,
                Self::Protocol(_) => ErrorKind::InvalidData,
                Self::KeepAliveTimeout | Self::WriteTimeout => ErrorKind::TimedOut,
                Self::Transport(error) => error.0.kind,
            }
        }
    }

    impl From<ProtocolError> for Error {
        fn from(error: ProtocolError) -> Self {
            Self::new(ErrorKind::InvalidData, error)
        }
    }

    impl From<CloseReason> for Error {
        fn from(reason: CloseReason) -> Self {
            Self::new(reason.kind(), reason)
        }
    }

    impl From<OpenError> for Error {
        fn from(error: OpenError) -> Self {
            let kind = match &error {
                OpenError::IdsExhausted => ErrorKind::QuotaExceeded,
                OpenError::Draining => ErrorKind::NotConnected,
                OpenError::Closed(reason) => reason.kind(),
            };
            Self::new(kind, error)
        }
    }

    impl From<StreamError> for Error {
        fn from(error: StreamError) -> Self {
            let kind = match &error {
                StreamError::Finished | StreamError::Stopped => ErrorKind::BrokenPipe,
                StreamError::AcknowledgedTooMuch => ErrorKind::InvalidData,
                StreamError::Evicted => ErrorKind::ConnectionAborted,
                StreamError::Closed(reason) => reason.kind(),
            };
            Self::new(kind, error)
        }
    }
}
