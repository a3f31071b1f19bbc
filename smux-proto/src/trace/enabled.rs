//! With feature `tracing`.

use alloc::collections::BTreeMap;

use tracing::Span;

#[cfg(feature = "poll")]
use super::later::{Later, Untold};
use super::message::{Field, Message, may_be_heard, session_span, stream_span};
use crate::{
    error::CloseReason,
    stats::StallCause,
    wire::{Side, StreamId, Version},
};

/// The spans of a session and of its streams.
#[derive(Debug)]
pub(crate) enum Trace {
    Now(Now),
    #[cfg(feature = "poll")]
    Later(Later),
}

/// Tells everything at once.
#[derive(Debug)]
pub(crate) struct Now {
    session: Span,
    /// Empty unless a subscriber wants to see them, so that a stream costs nothing otherwise.
    streams: BTreeMap<StreamId, Span>,
}

impl Now {
    fn tell(&mut self, id: Option<StreamId>, message: &Message) {
        if let Some(id) = id
            && message.begins_stream()
        {
            let span = stream_span(&self.session, id);
            if !span.is_disabled() {
                self.streams.insert(id, span);
            }
        }
        let span = id.and_then(|id| self.streams.get(&id));
        message.tell(span.unwrap_or(&self.session), id);
    }
}

impl Trace {
    pub(crate) fn new(side: Side, version: Option<Version>) -> Self {
        let mut trace = Self::Now(Now {
            session: session_span(side),
            streams: BTreeMap::new(),
        });
        if let Some(version) = version {
            trace.version(version);
        }
        trace
    }

    /// From now on tells nothing, but keeps it for [`untold`](Self::untold).
    #[cfg(feature = "poll")]
    pub(crate) fn keep_untold(&mut self) {
        if let Self::Now(now) = self {
            let session = core::mem::replace(&mut now.session, Span::none());
            *self = Self::Later(Later::new(session, core::mem::take(&mut now.streams)));
        }
    }

    #[cfg(feature = "poll")]
    pub(crate) fn has_untold(&self) -> bool {
        matches!(self, Self::Later(later) if later.has_untold())
    }

    /// What was kept since the last call, to be told where code of others may run.
    #[cfg(feature = "poll")]
    pub(crate) fn untold(&mut self) -> Untold {
        match self {
            Self::Now(_) => Untold::default(),
            Self::Later(later) => later.untold(),
        }
    }

    fn tell(&mut self, id: Option<StreamId>, message: Message) {
        if !may_be_heard(message.level()) {
            return;
        }
        match self {
            Self::Now(now) => now.tell(id, &message),
            #[cfg(feature = "poll")]
            Self::Later(later) => later.keep(id, message),
        }
    }

    #[cfg(feature = "poll")]
    pub(crate) fn id(&mut self, id: u64) {
        self.tell(None, Message::Field(Field::Id(id)));
    }

    #[cfg(feature = "poll")]
    pub(crate) fn peer(&mut self, address: core::net::SocketAddr) {
        self.tell(None, Message::Field(Field::Peer(address)));
    }

    pub(crate) fn version(&mut self, version: Version) {
        self.tell(None, Message::Field(Field::Version(version)));
    }

    pub(crate) fn opened(&mut self, id: StreamId) {
        self.tell(Some(id), Message::Opened);
    }

    pub(crate) fn accepted(&mut self, id: StreamId) {
        self.tell(Some(id), Message::Accepted);
    }

    pub(crate) fn refused(&mut self, id: StreamId, because: &'static str) {
        self.tell(Some(id), Message::Refused { because });
    }

    pub(crate) fn write_waits(&mut self, id: StreamId, cause: StallCause) {
        self.tell(Some(id), Message::WriteWaits { cause });
    }

    pub(crate) fn input_waits(&mut self, buffered: usize) {
        self.tell(None, Message::InputWaits { buffered });
    }

    pub(crate) fn finished(&mut self, id: StreamId) {
        self.tell(Some(id), Message::Finished);
    }

    pub(crate) fn stopped(&mut self, id: StreamId) {
        self.tell(Some(id), Message::Stopped);
    }

    pub(crate) fn evicted(&mut self, id: StreamId) {
        self.tell(Some(id), Message::Evicted);
    }

    pub(crate) fn closed(&mut self, id: StreamId, unread: usize, unsent: usize) {
        self.tell(Some(id), Message::Closed { unread, unsent });
    }

    /// Nothing is left of the stream.
    pub(crate) fn gone(&mut self, id: StreamId) {
        match self {
            Self::Now(now) => drop(now.streams.remove(&id)),
            #[cfg(feature = "poll")]
            Self::Later(later) => later.gone(id),
        }
    }

    pub(crate) fn draining(&mut self, streams: usize) {
        self.tell(None, Message::Draining { streams });
    }

    pub(crate) fn ended(&mut self, reason: &CloseReason, streams: usize) {
        let reason = reason.clone();
        self.tell(None, Message::Ended { reason, streams });
    }
}
