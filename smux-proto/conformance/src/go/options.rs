//! How a Go peer is started.

use std::{net::SocketAddr, time::Duration};

use super::Release;

/// What the Go peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Accepts streams and answers each [request](super::request::Request), until the connection
    /// ends.
    Serve,
    /// Opens streams one after another; each is [echoed](super::request::Op::Echo).
    Echo,
    /// As `Echo`, with all streams open before the first byte of the pattern moves.
    Concurrent,
    /// As `Echo`, 64 bytes a stream and 64 streams at a time.
    ManyShort,
    /// Sends to be [drained](super::request::Op::Drain), on all streams at once.
    BulkUp,
    /// Asks for what the acceptor [pours](super::request::Op::Pour), on all streams at once.
    BulkDown,
    /// Two echoes on each stream, with a silence of [`Options::idle`] between them.
    Idle,
    /// Writes, half-closes, reads all ([`ReplyHeld`](super::request::Op::ReplyHeld), then
    /// [`Release`](super::request::Op::Release)).
    HalfCloseGoFirst,
    /// Writes, half-closes, and reads only once the acceptor's FIN has come too
    /// ([`ReplyAtEof`](super::request::Op::ReplyAtEof)). All must fit the first window.
    HalfCloseReadLast,
    /// Reads to the end of the stream, then writes ([`FinFirst`](super::request::Op::FinFirst),
    /// then [`Report`](super::request::Op::Report)). See also [`Release::needs_window_after_fin`].
    HalfClosePeerFirst,
    /// Fills streams that the acceptor [does not read](super::request::Op::Hold), with an echo
    /// beside each, then [releases](super::request::Op::Release) them.
    Hold,
    /// Has bytes poured that it reads only after an echo on another stream.
    Unread,
    /// Closes streams in the middle of what the acceptor pours, then echoes on others.
    Abandon,
}

impl Mode {
    /// Every mode in which the Go peer opens the streams.
    pub const OPENERS: [Self; 12] = [
        Self::Echo,
        Self::Concurrent,
        Self::ManyShort,
        Self::BulkUp,
        Self::BulkDown,
        Self::Idle,
        Self::HalfCloseGoFirst,
        Self::HalfCloseReadLast,
        Self::HalfClosePeerFirst,
        Self::Hold,
        Self::Unread,
        Self::Abandon,
    ];

    /// Whether a Go opener of this release can do it.
    #[must_use]
    pub fn works_with(self, release: Release) -> bool {
        match self {
            Self::HalfCloseGoFirst => release.has_close_write(),
            Self::HalfCloseReadLast => release.keeps_unread_data(),
            Self::HalfClosePeerFirst => !release.stops_writing_after_fin(),
            _ => true,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Echo => "echo",
            Self::Concurrent => "concurrent",
            Self::ManyShort => "many-short",
            Self::BulkUp => "bulk-up",
            Self::BulkDown => "bulk-down",
            Self::Idle => "idle",
            Self::HalfCloseGoFirst => "halfclose-go-first",
            Self::HalfCloseReadLast => "halfclose-read-last",
            Self::HalfClosePeerFirst => "halfclose-peer-first",
            Self::Hold => "hold",
            Self::Unread => "unread",
            Self::Abandon => "abandon",
        }
    }
}

/// The Go peer's side of the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// It listens on a free port of the loopback interface.
    Listen,
    /// It connects to this address.
    Dial(SocketAddr),
}

/// The Go peer's side of the session; it need not be that of the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client, whose streams have odd ids.
    Client,
    /// The server, whose streams have even ids.
    Server,
}

/// The Go peer's keep-alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// It sends no NOP and waits for ever.
    Off,
    /// It sends a NOP every `interval`, and closes the session after one to two `timeout`s of
    /// silence.
    On {
        /// Milliseconds count; above 0.
        interval: Duration,
        /// At least `interval`.
        timeout: Duration,
    },
}

/// All other options of a Go peer. The defaults are those of the Go module, with the Go peer as a
/// server that listens for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its side of the TCP connection.
    pub tcp: Tcp,
    /// Its side of the session.
    pub role: Role,
    /// Protocol version, 1 or 2.
    pub version: u8,
    /// Largest payload of the frames that it sends, in bytes; above 0.
    pub max_frame_size: u16,
    /// Receive buffer of its session, in bytes; at least `max_stream_buffer`.
    pub max_receive_buffer: u32,
    /// Receive window of its streams in version 2, in bytes; above 0.
    pub max_stream_buffer: u32,
    /// Its keep-alive.
    pub keep_alive: KeepAlive,
    /// With [`Mode::Serve`]: sends the [greeting](super::request::GREETING) on each stream before
    /// it reads. In the other modes: reads it before it writes (a Go opener may lose an early
    /// greeting).
    pub speak_first: bool,
    /// How many streams an opener opens for its mode; above 0.
    pub streams: u32,
    /// How many bytes an opener moves on each of them, in each direction.
    pub bytes: u64,
    /// How many connections it takes or makes before it ends; above 0.
    pub connections: u32,
    /// The silence of [`Mode::Idle`].
    pub idle: Duration,
    /// It ends itself after this time, whatever it does.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tcp: Tcp::Listen,
            role: Role::Server,
            version: 1,
            max_frame_size: 32768,
            max_receive_buffer: 4 << 20,
            max_stream_buffer: 64 << 10,
            keep_alive: KeepAlive::On {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(30),
            },
            speak_first: false,
            streams: 1,
            bytes: 64 << 10,
            connections: 1,
            idle: Duration::from_secs(1),
            deadline: Duration::from_secs(60),
        }
    }
}

impl Options {
    /// The arguments of the program for this and a mode.
    pub(super) fn arguments(&self, mode: Mode) -> Vec<String> {
        let role = match self.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let mut arguments = vec![
            match self.tcp {
                Tcp::Listen => "-listen=127.0.0.1:0".to_owned(),
                Tcp::Dial(address) => format!("-dial={address}"),
            },
            format!("-role={role}"),
            format!("-version={}", self.version),
            format!("-frame={}", self.max_frame_size),
            format!("-recvbuf={}", self.max_receive_buffer),
            format!("-streambuf={}", self.max_stream_buffer),
            format!("-speak-first={}", self.speak_first),
            format!("-streams={}", self.streams),
            format!("-bytes={}", self.bytes),
            format!("-conns={}", self.connections),
            format!("-idle={}ms", self.idle.as_millis()),
            format!("-deadline={}ms", self.deadline.as_millis()),
        ];
        match self.keep_alive {
            KeepAlive::Off => arguments.push("-no-keepalive".to_owned()),
            KeepAlive::On { interval, timeout } => {
                arguments.push(format!("-keepalive-interval={}ms", interval.as_millis()));
                arguments.push(format!("-keepalive-timeout={}ms", timeout.as_millis()));
            }
        }
        arguments.push(mode.name().to_owned());
        arguments
    }
}
