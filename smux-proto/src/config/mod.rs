//! The configuration of a session.

mod builder;
mod error;
#[cfg(feature = "serde")]
mod text;
#[cfg(feature = "serde")]
mod units;

use core::time::Duration;

pub use self::{builder::ConfigBuilder, error::ConfigError};
use crate::wire::Version;

/// Bytes that every sender may have in flight on a stream before its first window update
/// (version 2). Fixed by the protocol, whatever the receiver's configuration.
pub(crate) const INITIAL_WINDOW: u32 = 262_144;
/// Smallest window announced, unless streams are configured with a smaller one.
const WINDOW_FLOOR: usize = 64;
/// The default; enough for the largest writes while the queue is refilled.
const STREAM_QUEUE: usize = 512 << 10;

/// When to send keep-alives, and when to consider a silent peer dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAlive {
    /// A NOP leaves when nothing else has left for this long.
    pub interval: Duration,
    /// The session ends when nothing has arrived for this long although it was reading, if the peer
    /// has sent a NOP before; and when nothing has arrived and a pending write or flush has made no
    /// progress for this long. Noticed a second late or more, it grants one `interval` of grace.
    pub timeout: Duration,
    /// Whether silence also counts against a peer that has never sent a NOP.
    pub required: bool,
}

/// Version 1: what happens when the receive buffer is full because streams are not read.
///
/// Version 1 has no windows: its peers send on all streams until the receive buffer is full, and
/// then all wait for the slowest reader. In version 2 streams have windows instead, and this has no
/// effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowReaderPolicy {
    /// All streams wait until enough is read, as with the reference.
    Stall,
    /// Ends the stream that has been slow for longest, so that the others go on.
    ///
    /// Its reader gets the data that has arrived, then
    /// [`StreamError::Evicted`](crate::StreamError::Evicted). Data written to it still leaves, then
    /// FIN. Unread data of evicted streams does not count against `max_receive_buffer`, but has a
    /// limit of the same size: a stream that would exceed that is evicted without its unread data.
    Evict {
        /// A stream is slow while it has more unread than this, in bytes; 1 to
        /// `max_receive_buffer`.
        share: usize,
        /// How long a stream may be slow. Without a full receive buffer it is never evicted.
        grace: Duration,
    },
}

/// The validated configuration of a session.
///
/// [`Config::default`] has the numbers of the Go reference and talks to a Go peer without
/// configuration. [`Config::v2`] is the better choice where both ends are yours.
///
/// ```
/// use smux_proto::{Config, Version};
///
/// let config = Config::builder()
///     .version(Version::V2)
///     .max_receive_buffer(8 << 20)
///     .max_stream_buffer(1 << 20)
///     .build()?;
/// assert_eq!(config.max_frame_size(), 32_768);
/// # Ok::<(), smux_proto::ConfigError>(())
/// ```
///
/// # Limits
///
/// | setting | default | unit | what happens beyond it |
/// |---|---|---|---|
/// | `max_receive_buffer` | 4 194 304 | bytes | reading from the transport pauses until the application reads; in version 1 see [`SlowReaderPolicy`] |
/// | `max_stream_buffer` | 65 536 | bytes | (version 2) the peer waits for a window update |
/// | `window_floor` | 64 | bytes | (version 2) with `max_receive_buffer` bounds the streams: see [`ConfigBuilder::window_floor`] |
/// | `max_inbound_streams` | 65 536 | streams | the stream is refused with FIN |
/// | `max_outbound_streams` | 65 536 | streams | opening waits |
/// | `accept_backlog` | 4 096 | streams | the stream is refused with FIN |
/// | `max_stream_send_queue` | 524 288 | bytes | writing waits; see [`ConfigBuilder::max_stream_send_queue`] |
/// | `max_session_send_queue` | 2 097 152 | bytes | writing waits |
/// | `max_owed_refusals` | 4 096 | streams | the session ends: [`ProtocolError::TooManyRefusals`](crate::ProtocolError::TooManyRefusals) |
/// | `max_glitches` | 65 536 | frames | the session ends: [`ProtocolError::TooManyGlitches`](crate::ProtocolError::TooManyGlitches) |
/// | `close_timeout` | 5 s | time | the transport is dropped with what is left |
///
/// # Memory
///
/// Whatever the peer does, a session holds at most
///
/// ```text
/// 2 × (max_receive_buffer + 65 535 + max_session_send_queue)
///   + 704 × (max_inbound_streams + max_outbound_streams)
///   + 16 × max_owed_refusals + 1 MiB
/// ```
///
/// bytes, including the batch that is being written if its [size](crate::Transmit::set_batch_size)
/// is 240 KiB at most. With the defaults that is 101 MiB, of which 88 MiB are for 131 072 streams.
/// A test drives a session to this limit. With [`SlowReaderPolicy::Evict`],
/// `max_receive_buffer + 65 535` counts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    version: Version,
    detect_version: bool,
    keep_alive: Option<KeepAlive>,
    max_frame_size: usize,
    max_receive_buffer: usize,
    max_stream_buffer: usize,
    initial_send_window: u32,
    window_floor: usize,
    half_close: bool,
    slow_readers: SlowReaderPolicy,
    max_inbound_streams: usize,
    max_outbound_streams: usize,
    accept_backlog: usize,
    max_stream_send_queue: usize,
    max_session_send_queue: usize,
    max_owed_refusals: usize,
    max_glitches: u32,
    close_timeout: Duration,
}

impl Default for Config {
    /// Version 1 with the numbers of the Go reference.
    fn default() -> Self {
        Self {
            version: Version::V1,
            detect_version: false,
            keep_alive: Some(KeepAlive {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(30),
                required: false,
            }),
            max_frame_size: 32_768,
            max_receive_buffer: 4_194_304,
            max_stream_buffer: 65_536,
            initial_send_window: INITIAL_WINDOW,
            window_floor: WINDOW_FLOOR,
            half_close: true,
            slow_readers: SlowReaderPolicy::Stall,
            max_inbound_streams: 65_536,
            max_outbound_streams: 65_536,
            accept_backlog: 4_096,
            max_stream_send_queue: STREAM_QUEUE,
            max_session_send_queue: 2_097_152,
            max_owed_refusals: 4_096,
            max_glitches: 65_536,
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Version 2 for two ends that are both yours: a receive budget of 32 MiB, of which a stream
    /// that needs it gets up to nearly half (15/32).
    ///
    /// With it one stream fills a link of 1 Gbit/s and 100 ms. For longer or fatter links raise
    /// [`max_receive_buffer`](ConfigBuilder::max_receive_buffer) at the receiver, and nothing else.
    pub fn v2() -> Self {
        Self {
            version: Version::V2,
            max_receive_buffer: 32 << 20,
            max_stream_buffer: 16 << 20,
            ..Self::default()
        }
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl Config {
            $($(#[$doc])* pub const fn $name(&self) -> $type { self.$name })*
        }
    };
}

getters! {
    /// The protocol version; an accepting side that detects it may end up with the other one.
    version: Version,
    /// What keeps the session alive, unless that is switched off.
    keep_alive: Option<KeepAlive>,
    /// Largest payload of a frame that is sent, in bytes. Frames up to 65 535 are always received.
    max_frame_size: usize,
    /// Received and unread bytes that all streams together may hold (one frame more, at most).
    max_receive_buffer: usize,
    /// Largest window announced for a stream, in bytes (version 2).
    max_stream_buffer: usize,
    /// Bytes sent on a stream before the peer's first window update, at most (version 2).
    initial_send_window: u32,
    /// Smallest window announced, in bytes (version 2).
    window_floor: usize,
    /// Whether writing may end before reading does.
    half_close: bool,
    /// What happens when streams that are not read fill the receive buffer (version 1).
    slow_readers: SlowReaderPolicy,
    /// Streams that the peer may have open.
    max_inbound_streams: usize,
    /// Streams that this side may have open.
    max_outbound_streams: usize,
    /// Streams that wait to be accepted.
    accept_backlog: usize,
    /// Bytes of a stream that were written and have not left.
    max_stream_send_queue: usize,
    /// Bytes of all streams that were written and have not left.
    max_session_send_queue: usize,
    /// Refused streams whose refusal has not left.
    max_owed_refusals: usize,
    /// Useless frames, less the useful ones.
    max_glitches: u32,
    /// How long closing may take.
    close_timeout: Duration,
}

impl Config {
    /// Whether an accepting session takes the version of the first frame.
    pub const fn detects_version(&self) -> bool {
        self.detect_version
    }
}
