//! What there is to tell, as plain data, so that it can be told later.

use core::time::Duration;

use tracing::{
    Level, Span, field,
    level_filters::{LevelFilter, STATIC_MAX_LEVEL},
};

use super::Obstacle;
use crate::{
    error::CloseReason,
    stats::StallCause,
    wire::{Side, StreamId, Version},
};

const TARGET: &str = "smux";

#[derive(Debug)]
pub(super) enum Message {
    Began,
    Opened,
    Accepted,
    Refused {
        because: &'static str,
    },
    WriteWaits {
        cause: StallCause,
    },
    InputWaits {
        buffered: usize,
    },
    Finished,
    Stopped,
    Evicted,
    Closed {
        unread: usize,
        unsent: usize,
    },
    Draining {
        streams: usize,
    },
    StallLasts {
        obstacle: Obstacle,
        waited: Duration,
        /// Other stalls that began to last, for which no line is told.
        more: usize,
    },
    StallEnded {
        obstacle: Obstacle,
        waited: Duration,
    },
    Ended(Ended),
    /// A field of the session's span.
    Field(Field),
}

#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: CloseReason,
    pub(super) duration: Duration,
    /// Bytes of the transport.
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) streams: usize,
}

#[derive(Debug)]
pub(super) enum Field {
    Version(Version),
    #[cfg(feature = "poll")]
    Id(u64),
    #[cfg(feature = "poll")]
    Peer(core::net::SocketAddr),
}

/// Whether some subscriber may want this level. It asks none, so no code of others runs.
pub(super) fn may_be_heard(level: Level) -> bool {
    level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
}

pub(super) fn session_span(side: Side) -> Span {
    tracing::error_span!(target: TARGET, "session", ?side, version = field::Empty, id = field::Empty, peer = field::Empty)
}

pub(super) fn stream_span(session: &Span, id: StreamId) -> Span {
    tracing::debug_span!(target: TARGET, parent: session, "stream", id = id.get())
}

impl Field {
    pub(super) fn record(&self, session: &Span) {
        match self {
            Self::Version(version) => session.record("version", version.to_byte()),
            #[cfg(feature = "poll")]
            Self::Id(id) => session.record("id", id),
            #[cfg(feature = "poll")]
            Self::Peer(address) => session.record("peer", field::display(address)),
        };
    }
}

macro_rules! tell {
    ($level:ident, $span:expr, $($what:tt)+) => {
        tracing::event!(target: TARGET, parent: $span, Level::$level, $($what)+)
    };
}

impl Message {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::WriteWaits { .. } | Self::Finished | Self::Stopped => Level::TRACE,
            Self::Ended(Ended { reason, .. }) if !is_orderly(reason) => Level::WARN,
            Self::StallLasts { .. } => Level::WARN,
            Self::Began | Self::StallEnded { .. } | Self::Ended(_) => Level::INFO,
            Self::Field(_) => Level::ERROR,
            _ => Level::DEBUG,
        }
    }

    /// Whether a stream's span begins with it.
    pub(super) fn begins_stream(&self) -> bool {
        matches!(self, Self::Opened | Self::Accepted)
    }

    /// Tells it in `span`, of the stream `id` if it is about one.
    pub(super) fn tell(&self, span: &Span, id: Option<StreamId>) {
        let stream = id.map(StreamId::get);
        match self {
            Self::Began => tell!(INFO, span, "session began"),
            Self::Opened => tell!(DEBUG, span, stream, "stream opened"),
            Self::Accepted => tell!(DEBUG, span, stream, "stream accepted"),
            Self::Refused { because } => tell!(DEBUG, span, stream, because, "stream refused"),
            Self::WriteWaits { cause } => tell!(TRACE, span, stream, %cause, "write waits"),
            Self::InputWaits { buffered } => tell!(
                DEBUG,
                span,
                buffered,
                "reading paused: the receive buffer is full"
            ),
            Self::Finished => tell!(TRACE, span, stream, "peer finished the stream"),
            Self::Stopped => tell!(TRACE, span, stream, "peer stopped reading the stream"),
            Self::Evicted => tell!(
                DEBUG,
                span,
                stream,
                "stream evicted: it held too much of a full receive buffer"
            ),
            Self::Closed { unread, unsent } => {
                tell!(DEBUG, span, stream, unread, unsent, "stream closed");
            }
            Self::Draining { streams } => tell!(DEBUG, span, streams, "session is draining"),
            Self::StallLasts {
                obstacle,
                waited,
                more,
            } => {
                let waited = readable(*waited);
                tell!(WARN, span, cause = %obstacle.name(), stream, ?waited, more, "stall lasts");
            }
            Self::StallEnded { obstacle, waited } => {
                let waited = readable(*waited);
                tell!(INFO, span, cause = %obstacle.name(), stream, ?waited, "stall ended");
            }
            Self::Ended(ended) => ended.tell(span),
            Self::Field(field) => field.record(span),
        }
    }
}

impl Ended {
    fn tell(&self, span: &Span) {
        let Self {
            reason,
            duration,
            received,
            sent,
            streams,
        } = self;
        let duration = readable(*duration);
        if is_orderly(reason) {
            tell!(INFO, span, %reason, ?duration, received, sent, streams, "session ended");
        } else {
            tell!(WARN, span, %reason, ?duration, received, sent, streams, "session failed");
        }
    }
}

impl Obstacle {
    fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Window => "window",
            Self::Reader => "reader",
            Self::Budget => "budget",
        }
    }
}

/// Without the digits that say nothing.
fn readable(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000)
}

fn is_orderly(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Local
            | CloseReason::Aborted
            | CloseReason::PeerClosed
            | CloseReason::PeerNeverSpoke
    )
}
