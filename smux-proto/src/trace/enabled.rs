//! With feature `tracing`.

use alloc::collections::BTreeMap;

use tracing::{Level, Span, field};

use crate::{
    error::CloseReason,
    stats::StallCause,
    wire::{Side, StreamId, Version},
};

const TARGET: &str = "smux";

/// The spans of a session and of its streams.
#[derive(Debug)]
pub(crate) struct Trace {
    session: Span,
    /// Empty unless a subscriber wants to see them, so that a stream costs nothing otherwise.
    streams: BTreeMap<StreamId, Span>,
}

macro_rules! tell {
    ($level:ident, $span:expr, $($what:tt)+) => {
        tracing::event!(target: TARGET, parent: $span, Level::$level, $($what)+)
    };
}

impl Trace {
    pub(crate) fn new(side: Side, version: Option<Version>) -> Self {
        let trace = Self {
            session: tracing::error_span!(target: TARGET, "session", ?side, version = field::Empty, id = field::Empty, peer = field::Empty),
            streams: BTreeMap::new(),
        };
        if let Some(version) = version {
            trace.version(version);
        }
        trace
    }

    #[cfg(feature = "poll")]
    pub(crate) fn id(&self, id: u64) {
        self.session.record("id", id);
    }

    #[cfg(feature = "poll")]
    pub(crate) fn peer(&self, address: core::net::SocketAddr) {
        self.session.record("peer", field::display(address));
    }

    pub(crate) fn version(&self, version: Version) {
        self.session.record("version", version.to_byte());
    }

    pub(crate) fn opened(&mut self, id: StreamId) {
        self.enter(id);
        tell!(DEBUG, self.stream(id), stream = id.get(), "stream opened");
    }

    pub(crate) fn accepted(&mut self, id: StreamId) {
        self.enter(id);
        tell!(DEBUG, self.stream(id), stream = id.get(), "stream accepted");
    }

    pub(crate) fn refused(&self, id: StreamId, because: &str) {
        tell!(
            DEBUG,
            &self.session,
            stream = id.get(),
            because,
            "stream refused"
        );
    }

    pub(crate) fn write_waits(&self, id: StreamId, cause: StallCause) {
        tell!(TRACE, self.stream(id), stream = id.get(), %cause, "write waits");
    }

    pub(crate) fn input_waits(&self, buffered: usize) {
        tell!(
            DEBUG,
            &self.session,
            buffered,
            "reading paused: the receive buffer is full"
        );
    }

    pub(crate) fn finished(&self, id: StreamId) {
        tell!(
            TRACE,
            self.stream(id),
            stream = id.get(),
            "peer finished the stream"
        );
    }

    pub(crate) fn stopped(&self, id: StreamId) {
        tell!(
            TRACE,
            self.stream(id),
            stream = id.get(),
            "peer stopped reading the stream"
        );
    }

    pub(crate) fn evicted(&self, id: StreamId) {
        tell!(
            DEBUG,
            self.stream(id),
            stream = id.get(),
            "stream evicted: it held too much of a full receive buffer"
        );
    }

    pub(crate) fn closed(&self, id: StreamId, unread: usize, unsent: usize) {
        tell!(
            DEBUG,
            self.stream(id),
            stream = id.get(),
            unread,
            unsent,
            "stream closed"
        );
    }

    /// Nothing is left of the stream.
    pub(crate) fn gone(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    pub(crate) fn draining(&self, streams: usize) {
        tell!(DEBUG, &self.session, streams, "session is draining");
    }

    pub(crate) fn ended(&self, reason: &CloseReason, streams: usize) {
        match reason {
            CloseReason::Local
            | CloseReason::Aborted
            | CloseReason::PeerClosed
            | CloseReason::PeerNeverSpoke => {
                tell!(DEBUG, &self.session, %reason, streams, "session ended");
            }
            _ => tell!(WARN, &self.session, %reason, streams, "session failed"),
        }
    }

    fn enter(&mut self, id: StreamId) {
        let parent = &self.session;
        let span = tracing::debug_span!(target: TARGET, parent: parent, "stream", id = id.get());
        if !span.is_disabled() {
            self.streams.insert(id, span);
        }
    }

    fn stream(&self, id: StreamId) -> &Span {
        self.streams.get(&id).unwrap_or(&self.session)
    }
}
