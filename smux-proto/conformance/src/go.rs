//! Live peers: the Go implementation, in a process of its own, as client or server, on either side
//! of a TCP connection.
//!
//! [`GoPeer::start`] builds the program in `go/` with one [`Release`] of the Go module and runs it
//! in one [`Mode`]. [`request`] defines what opener and acceptor send each other on a stream.
//!
//! ```no_run
//! use std::time::Duration;
//! use smux_conformance::go::{GoPeer, Mode, Options, Release};
//!
//! if !GoPeer::available() {
//!     return Ok(());
//! }
//! let options = Options { version: 2, ..Options::default() };
//! let peer = GoPeer::start(Release::NEWEST, Mode::Serve, &options)?;
//! let transport = std::net::TcpStream::connect(peer.address())?;
//! // ... a session over `transport`, which opens streams ...
//! drop(transport);
//! peer.wait(Duration::from_secs(10))?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod build;
mod options;
mod peer;
mod process;
pub mod request;
#[cfg(test)]
mod tests;

pub use self::{
    options::{KeepAlive, Mode, Options, Role, Tcp},
    peer::{GoPeer, Outcome},
    process::GoError,
};

use std::fmt;

/// A release of the Go module; each stands for a generation that treats a FIN in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The newest: what has arrived stays readable after a half-close.
    V1_5_58,
    /// The last before that: half-close, which discards what is unread; lengths are checked.
    V1_5_57,
    /// The last that cannot write after the peer's FIN.
    V1_5_53,
    /// The last before that: writes after the peer's FIN, but does not wait for a window then; has
    /// no half-close of its own.
    V1_5_27,
    /// As 1.5.27, but older scheduling; the one that Debian ships.
    V1_5_16,
}

impl Release {
    /// All of them, newest first.
    pub const ALL: [Self; 5] = [
        Self::V1_5_58,
        Self::V1_5_57,
        Self::V1_5_53,
        Self::V1_5_27,
        Self::V1_5_16,
    ];

    /// The one that stands for the Go module where one release is enough.
    pub const NEWEST: Self = Self::ALL[0];

    /// Whether it can end its sending direction and go on reading.
    #[must_use]
    pub fn has_close_write(self) -> bool {
        self == Self::V1_5_57 || self.keeps_unread_data()
    }

    /// Whether what it has received stays readable when both directions have ended. Older ones with
    /// half-close discard it.
    #[must_use]
    pub fn keeps_unread_data(self) -> bool {
        self == Self::V1_5_58
    }

    /// Whether its writes fail once it has seen our FIN (1.5.28 to 1.5.53).
    #[must_use]
    pub fn stops_writing_after_fin(self) -> bool {
        self == Self::V1_5_53
    }

    /// Whether, in version 2, its writes fail instead of waiting for a window once it has seen our
    /// FIN: its data after our FIN must fit the window that it has by then.
    #[must_use]
    pub fn needs_window_after_fin(self) -> bool {
        matches!(self, Self::V1_5_27 | Self::V1_5_16)
    }

    fn number(self) -> &'static str {
        match self {
            Self::V1_5_58 => "1.5.58",
            Self::V1_5_57 => "1.5.57",
            Self::V1_5_53 => "1.5.53",
            Self::V1_5_27 => "1.5.27",
            Self::V1_5_16 => "1.5.16",
        }
    }
}

/// The number alone: `1.5.58`.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.number())
    }
}
