//! Invalid settings.

use core::fmt;

/// An invalid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The keep-alive interval is 0.
    KeepAliveInterval,
    /// The keep-alive timeout is shorter than the interval.
    KeepAliveTimeout,
    /// `max_frame_size` is not 1 to 65 535.
    FrameSize,
    /// `max_receive_buffer` is not 1 to 2^31 − 1.
    ReceiveBuffer,
    /// `max_stream_buffer` is 0.
    StreamBuffer,
    /// `max_stream_buffer` is above `max_receive_buffer`.
    StreamBufferExceedsReceiveBuffer,
    /// `initial_send_window` is not 1 to 262 144.
    InitialSendWindow,
    /// `window_floor` is not 1 to `max_stream_buffer`.
    WindowFloor,
    /// A stream limit is above 2^30.
    StreamLimit,
    /// `accept_backlog` is 0.
    AcceptBacklog,
    /// The share of `SlowReaderPolicy::Evict` is not 1 to `max_receive_buffer`.
    SlowReaderShare,
    /// `max_stream_send_queue` is 0 or above `max_session_send_queue`, or that is above 2^31 − 1.
    SendQueue,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeepAliveInterval => "the keep-alive interval must be more than 0",
            Self::KeepAliveTimeout => "the keep-alive timeout must be at least the interval",
            Self::FrameSize => "max_frame_size must be 1 to 65535 bytes",
            Self::ReceiveBuffer => "max_receive_buffer must be 1 to 2147483647 bytes",
            Self::StreamBuffer => "max_stream_buffer must be at least 1 byte",
            Self::StreamBufferExceedsReceiveBuffer => {
                "max_stream_buffer must be at most max_receive_buffer"
            }
            Self::InitialSendWindow => "initial_send_window must be 1 to 262144 bytes",
            Self::WindowFloor => "window_floor must be 1 byte to max_stream_buffer",
            Self::StreamLimit => {
                "max_inbound_streams and max_outbound_streams must be at most 2^30"
            }
            Self::AcceptBacklog => "accept_backlog must be at least 1 stream",
            Self::SlowReaderShare => {
                "the share of SlowReaderPolicy::Evict must be 1 byte to max_receive_buffer"
            }
            Self::SendQueue => {
                "max_stream_send_queue must be 1 byte to max_session_send_queue, and that at most \
                 2147483647 bytes"
            }
        })
    }
}

impl core::error::Error for ConfigError {}
