//! What a session is told before it starts.

mod error;

use core::time::Duration;

pub use self::error::ConfigError;
use crate::wire::Version;

/// Bytes that every sender may have in flight on a stream before its first window update
/// (version 2). Fixed by the protocol, whatever the receiver's configuration.
pub(crate) const INITIAL_WINDOW: u32 = 262_144;
/// Largest payload of a frame: LENGTH has 16 bits.
const MAX_FRAME: usize = 65_535;
/// Windows and budgets are signed 32-bit numbers to the peers in use.
const MAX_BUFFER: usize = i32::MAX as usize;
/// More streams than this per direction are never meant; half the ids of a side.
const MAX_STREAMS: usize = 1 << 30;
/// Smallest window announced, unless streams are configured with a smaller one.
const WINDOW_FLOOR: usize = 64;
/// Unless set; enough for writes of the largest size while the queue is filled again.
const STREAM_QUEUE: usize = 512 << 10;

/// When to send keep-alives, and when to give a silent peer up.
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
    /// Its reader gets what has arrived, then
    /// [`StreamError::Evicted`](crate::StreamError::Evicted); what was written to it still leaves,
    /// then FIN. What evicted streams hold unread is no part of `max_receive_buffer`: it may be as
    /// much again, and of a stream that would make it more is dropped.
    Evict {
        /// A stream is slow while it has more unread than this, in bytes; 1 to
        /// `max_receive_buffer`.
        share: usize,
        /// How long a stream may be slow. It goes on if the receive buffer is not full.
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
/// | `max_session_send_queue` | 4 194 304 | bytes | writing waits |
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
/// bytes, the batch that is being written with them if its [size](crate::Transmit::set_batch_size)
/// is 240 KiB at most: 105 MiB with the defaults, of which 88 MiB only if there are 131 072
/// streams. A test drives a session there. With [`SlowReaderPolicy::Evict`],
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
            max_session_send_queue: 4_194_304,
            max_owed_refusals: 4_096,
            max_glitches: 65_536,
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Version 2 for two ends that are both yours: a receive budget of 32 MiB, of which a stream
    /// that needs it gets up to half.
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

    /// A builder that starts from [`Config::default`].
    pub fn builder() -> ConfigBuilder {
        Self::default().to_builder()
    }

    /// The floor unless another is set.
    fn usual_window_floor(&self) -> usize {
        WINDOW_FLOOR.min(self.max_stream_buffer)
    }

    /// The largest window unless another is set.
    fn usual_stream_buffer(&self) -> usize {
        self.max_receive_buffer.div_ceil(2)
    }

    /// The stream's queue unless another is set.
    fn usual_stream_send_queue(&self) -> usize {
        STREAM_QUEUE.min(self.max_session_send_queue.div_ceil(4))
    }

    /// A builder that starts from this configuration.
    pub fn to_builder(&self) -> ConfigBuilder {
        ConfigBuilder {
            config: self.clone(),
            max_stream_buffer: Some(self.max_stream_buffer)
                .filter(|set| *set != self.usual_stream_buffer()),
            window_floor: Some(self.window_floor).filter(|set| *set != self.usual_window_floor()),
            max_stream_send_queue: Some(self.max_stream_send_queue)
                .filter(|set| *set != self.usual_stream_send_queue()),
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
    /// The protocol version; a side that detects it starts out with this one in mind.
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
    /// Bytes that a stream holds which have not left.
    max_stream_send_queue: usize,
    /// Bytes that all streams together hold which have not left.
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

/// Settings on their way to a [`Config`]. Nothing is checked before [`build`](Self::build), so
/// order does not matter.
#[derive(Clone, Debug)]
#[must_use = "call `build` to get the configuration"]
pub struct ConfigBuilder {
    config: Config,
    max_stream_buffer: Option<usize>,
    window_floor: Option<usize>,
    max_stream_send_queue: Option<usize>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl ConfigBuilder {
            $($(#[$doc])* pub const fn $name(mut self, $name: $type) -> Self {
                self.config.$name = $name;
                self
            })*
        }
    };
}

setters! {
    /// The protocol version; both ends must use the same.
    version: Version,
    /// Accepting side only: take the version of the first frame that arrives. Until then nothing is
    /// sent and [`Session::open`](crate::Session::open) is pending. A client ignores this.
    detect_version: bool,
    /// Largest payload of a frame that is sent: 1 to 65 535 bytes.
    max_frame_size: usize,
    /// Received and unread bytes that all streams together may hold: 1 to 2^31 − 1.
    ///
    /// One frame may exceed it by up to 65 534 bytes.
    max_receive_buffer: usize,
    /// Bytes sent on a stream before the peer's first window update (version 2): 1 to 262 144.
    ///
    /// 262 144 is what the protocol has. Less makes the receiver's guarantee that it never
    /// stalls hold for more streams, if both ends are set alike.
    initial_send_window: u32,
    /// `false` avoids half-closed streams: FIN leaves only when the stream is closed or the peer's
    /// FIN has come.
    ///
    /// For peers that take a FIN as the end of both directions: releases 1.5.28 to 1.5.53 of the
    /// Go reference, and the fork in sing-box. A FIN that *they* send is taken as the end of both
    /// directions too, since they have no other.
    half_close: bool,
    /// What happens when streams that are not read fill the receive buffer (version 1);
    /// [`SlowReaderPolicy::Stall`] unless set.
    slow_readers: SlowReaderPolicy,
    /// Streams that the peer may have open, 2^30 at most; further ones are refused. 0 refuses all.
    max_inbound_streams: usize,
    /// Streams that this side may have open, 2^30 at most; opening further ones waits.
    max_outbound_streams: usize,
    /// Streams that wait to be accepted, at least 1; further ones are refused.
    accept_backlog: usize,
    /// Bytes of all streams that were written and have not left: at least
    /// `max_stream_send_queue`, at most 2^31 − 1.
    ///
    /// Streams that are sending have equal shares of three quarters of it; the rest is for those
    /// that have queued less than 4 096 bytes.
    max_session_send_queue: usize,
    /// Streams refused since the transport last took output: beyond it the session ends. At most
    /// twice as many refusals are held.
    max_owed_refusals: usize,
    /// Useless frames (SYN that is repeated or of our parity, a third FIN, empty data, stale
    /// updates) that a peer may send before the session ends. The count halves every minute, and
    /// frames of useful data lower it.
    max_glitches: u32,
    /// How long [`Session::close`](crate::Session::close) may take to flush and to see the peer's
    /// end.
    close_timeout: Duration,
}

impl ConfigBuilder {
    /// A NOP leaves when nothing else has left for this long; more than 0.
    pub const fn keep_alive_interval(mut self, interval: Duration) -> Self {
        let mut keep_alive = self.keep_alive();
        keep_alive.interval = interval;
        self.config.keep_alive = Some(keep_alive);
        self
    }

    /// A silent peer is given up after this long, if it has sent keep-alives before; at least the
    /// interval.
    pub const fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        let mut keep_alive = self.keep_alive();
        keep_alive.timeout = timeout;
        self.config.keep_alive = Some(keep_alive);
        self
    }

    /// `true` gives up any peer that is silent for the timeout, as the reference does. Otherwise
    /// one that has never sent a keep-alive, as those of sing-box, is given up only when it takes
    /// no more bytes either; `false` unless set.
    pub const fn keep_alive_required(mut self, required: bool) -> Self {
        let mut keep_alive = self.keep_alive();
        keep_alive.required = required;
        self.config.keep_alive = Some(keep_alive);
        self
    }

    /// Neither sends NOPs nor gives silent peers up. A peer with a timeout will end idle sessions.
    pub const fn keep_alive_disabled(mut self) -> Self {
        self.config.keep_alive = None;
        self
    }

    /// Largest window announced for a stream (version 2): 1 byte to `max_receive_buffer`.
    ///
    /// One stream carries at most this many bytes per round trip. A configuration in which this is
    /// half of `max_receive_buffer`, as in [`Config::v2`], keeps it so when that is changed.
    pub const fn max_stream_buffer(mut self, max_stream_buffer: usize) -> Self {
        self.max_stream_buffer = Some(max_stream_buffer);
        self
    }

    /// Smallest window announced (version 2): 1 byte to `max_stream_buffer`; 64 unless set.
    /// A peer is told 0 instead as long as unread data leaves no room for it.
    ///
    /// Either side has at most `max_receive_buffer / window_floor` streams open at a time in
    /// version 2; more are treated as beyond the stream limits.
    pub const fn window_floor(mut self, window_floor: usize) -> Self {
        self.window_floor = Some(window_floor);
        self
    }

    /// Bytes of a stream that were written and have not left: 1 to `max_session_send_queue`. Unless
    /// set, 524 288, or a quarter of `max_session_send_queue` if that is less.
    pub const fn max_stream_send_queue(mut self, max_stream_send_queue: usize) -> Self {
        self.max_stream_send_queue = Some(max_stream_send_queue);
        self
    }

    /// Checks the settings, in the order of [`ConfigError`]'s variants.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.max_stream_buffer = self
            .max_stream_buffer
            .unwrap_or_else(|| config.usual_stream_buffer());
        config.window_floor = self
            .window_floor
            .unwrap_or_else(|| config.usual_window_floor());
        config.max_stream_send_queue = self
            .max_stream_send_queue
            .unwrap_or_else(|| config.usual_stream_send_queue());
        let keep_alive = config.keep_alive;
        let rules = [
            (
                keep_alive.is_none_or(|k| !k.interval.is_zero()),
                ConfigError::KeepAliveInterval,
            ),
            (
                keep_alive.is_none_or(|k| k.timeout >= k.interval),
                ConfigError::KeepAliveTimeout,
            ),
            (
                (1..=MAX_FRAME).contains(&config.max_frame_size),
                ConfigError::FrameSize,
            ),
            (
                (1..=MAX_BUFFER).contains(&config.max_receive_buffer),
                ConfigError::ReceiveBuffer,
            ),
            (config.max_stream_buffer >= 1, ConfigError::StreamBuffer),
            (
                config.max_stream_buffer <= config.max_receive_buffer,
                ConfigError::StreamBufferExceedsReceiveBuffer,
            ),
            (
                (1..=INITIAL_WINDOW).contains(&config.initial_send_window),
                ConfigError::InitialSendWindow,
            ),
            (
                (1..=config.max_stream_buffer).contains(&config.window_floor),
                ConfigError::WindowFloor,
            ),
            (
                config.max_inbound_streams.max(config.max_outbound_streams) <= MAX_STREAMS,
                ConfigError::StreamLimit,
            ),
            (config.accept_backlog >= 1, ConfigError::AcceptBacklog),
            (
                match config.slow_readers {
                    SlowReaderPolicy::Stall => true,
                    SlowReaderPolicy::Evict { share, .. } => {
                        (1..=config.max_receive_buffer).contains(&share)
                    }
                },
                ConfigError::SlowReaderShare,
            ),
            (
                (1..=MAX_BUFFER).contains(&config.max_stream_send_queue)
                    && (config.max_stream_send_queue..=MAX_BUFFER)
                        .contains(&config.max_session_send_queue),
                ConfigError::SendQueue,
            ),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, error)) => Err(error),
            None => Ok(config),
        }
    }

    /// The keep-alive set so far, or the reference's.
    const fn keep_alive(&self) -> KeepAlive {
        match self.config.keep_alive {
            Some(keep_alive) => keep_alive,
            None => KeepAlive {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(30),
                required: false,
            },
        }
    }
}
