//! The builder of a configuration: settings, derived defaults, and the rules between them.

use core::time::Duration;

use crate::wire::Version;

use super::{
    Config, ConfigError, INITIAL_WINDOW, KeepAlive, STREAM_QUEUE, SlowReaderPolicy, WINDOW_FLOOR,
    error::{Bound, Value, check},
};

/// Largest payload of a frame: LENGTH has 16 bits.
const MAX_FRAME: usize = 65_535;
/// Existing peers treat windows and budgets as signed 32-bit numbers.
const MAX_BUFFER: usize = i32::MAX as usize;
/// A sanity limit for streams per direction: half the ids of a side.
const MAX_STREAMS: usize = 1 << 30;

/// A builder of a [`Config`]. Nothing is checked before [`build`](Self::build), so the order of
/// settings does not matter.
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
    /// The protocol fixes 262 144. If both ends set the same lower value, the receiver can
    /// guarantee for more streams that it never stalls.
    initial_send_window: u32,
    /// `false` avoids half-closed streams: FIN leaves only when the stream is closed or the peer's
    /// FIN has come.
    ///
    /// For peers that take a FIN as the end of both directions: Go releases 1.5.28 to 1.5.53, and
    /// the fork in sing-box. A FIN *from* the peer then also ends both directions, since such peers
    /// have no other frame for it.
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
    /// Streams that may be refused before the transport takes output again; beyond it the session
    /// ends. At most twice as many refusals are held.
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

    /// A peer that has sent keep-alives is considered dead after this long without input; at least
    /// the interval.
    pub const fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        let mut keep_alive = self.keep_alive();
        keep_alive.timeout = timeout;
        self.config.keep_alive = Some(keep_alive);
        self
    }

    /// `true` considers any peer dead that is silent for the timeout, as Go does. Otherwise a peer
    /// that has never sent a keep-alive, such as sing-box, is considered dead only if it takes no
    /// more bytes either. `false` unless set.
    pub const fn keep_alive_required(mut self, required: bool) -> Self {
        let mut keep_alive = self.keep_alive();
        keep_alive.required = required;
        self.config.keep_alive = Some(keep_alive);
        self
    }

    /// Sends no NOPs, and never considers a silent peer dead. A peer with a timeout will end idle
    /// sessions.
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
    /// The window is 0 instead while unread data leaves no room for it.
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

    /// Checks the settings, always in the same order.
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
        check_all(&config)?;
        Ok(config)
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

fn check_all(config: &Config) -> Result<(), ConfigError> {
    if let Some(keep_alive) = config.keep_alive {
        let interval = Value::Time(keep_alive.interval);
        let shortest = Bound::fixed(Value::Time(Duration::from_nanos(1)));
        check("keep_alive_interval", interval, shortest, None)?;
        let interval = Bound::setting("keep_alive_interval", interval);
        let timeout = Value::Time(keep_alive.timeout);
        check("keep_alive_timeout", timeout, interval, None)?;
    }
    let bytes = |setting, value, max| {
        let min = Bound::fixed(Value::Bytes(1));
        check(setting, Value::Bytes(value), min, Some(max))
    };
    let most = |bytes| Bound::fixed(Value::Bytes(bytes));
    let as_much_as = |setting, bytes| Bound::setting(setting, Value::Bytes(bytes));
    bytes("max_frame_size", config.max_frame_size, most(MAX_FRAME))?;
    let receive_buffer = config.max_receive_buffer;
    bytes("max_receive_buffer", receive_buffer, most(MAX_BUFFER))?;
    let receive_buffer = as_much_as("max_receive_buffer", receive_buffer);
    let stream_buffer = config.max_stream_buffer;
    bytes("max_stream_buffer", stream_buffer, receive_buffer)?;
    let window = config.initial_send_window as usize;
    let largest = most(INITIAL_WINDOW as usize);
    bytes("initial_send_window", window, largest)?;
    let stream_buffer = as_much_as("max_stream_buffer", stream_buffer);
    bytes("window_floor", config.window_floor, stream_buffer)?;

    let streams = |setting, value, min, max: Option<usize>| {
        let bound = |streams| Bound::fixed(Value::Streams(streams));
        check(setting, Value::Streams(value), bound(min), max.map(bound))
    };
    let most_streams = Some(MAX_STREAMS);
    streams(
        "max_inbound_streams",
        config.max_inbound_streams,
        0,
        most_streams,
    )?;
    streams(
        "max_outbound_streams",
        config.max_outbound_streams,
        0,
        most_streams,
    )?;
    streams("accept_backlog", config.accept_backlog, 1, None)?;
    if let SlowReaderPolicy::Evict { share, .. } = config.slow_readers {
        bytes("slow_readers.share", share, receive_buffer)?;
    }

    let session_queue = config.max_session_send_queue;
    bytes("max_session_send_queue", session_queue, most(MAX_BUFFER))?;
    let session_queue = as_much_as("max_session_send_queue", session_queue);
    let stream_queue = config.max_stream_send_queue;
    bytes("max_stream_send_queue", stream_queue, session_queue)
}

impl Config {
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
