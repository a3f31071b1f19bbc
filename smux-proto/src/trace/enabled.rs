//! With feature `tracing`.

use alloc::collections::BTreeMap;
use core::time::Duration;

use tracing::Span;

use super::Obstacle;
#[cfg(feature = "poll")]
use super::later::{Later, Untold};
use super::message::{Ended, Field, Message, may_be_heard, session_span, stream_span};
use crate::{
    error::CloseReason,
    stats::{SessionStats, StallCause},
    wire::{Side, StreamId, Version},
};

/// The spans of a session and of its streams.
#[derive(Debug)]
pub(crate) struct Trace {
    teller: Teller,
    has_begun: bool,
    began: Duration,
}

#[derive(Debug)]
enum Teller {
    Now(Now),
    #[cfg(feature = "poll")]
    Later(Later),
}

/// Tells everything at once.
#[derive(Debug)]
struct Now {
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
        let mut trace = Self {
            teller: Teller::Now(Now {
                session: session_span(side),
                streams: BTreeMap::new(),
            }),
            has_begun: false,
            began: Duration::ZERO,
        };
        if let Some(version) = version {
            trace.version(version);
        }
        trace
    }

    /// From now on tells nothing, but keeps it for [`untold`](Self::untold).
    #[cfg(feature = "poll")]
    pub(crate) fn keep_untold(&mut self) {
        if let Teller::Now(now) = &mut self.teller {
            let session = core::mem::replace(&mut now.session, Span::none());
            let streams = core::mem::take(&mut now.streams);
            self.teller = Teller::Later(Later::new(session, streams));
        }
    }

    #[cfg(feature = "poll")]
    pub(crate) fn has_untold(&self) -> bool {
        matches!(&self.teller, Teller::Later(later) if later.has_untold())
    }

    /// What was kept since the last call, to be told where code of others may run.
    #[cfg(feature = "poll")]
    pub(crate) fn untold(&mut self) -> Untold {
        match &mut self.teller {
            Teller::Now(_) => Untold::default(),
            Teller::Later(later) => later.untold(),
        }
    }

    fn tell(&mut self, id: Option<StreamId>, message: Message) {
        if !matches!(message, Message::Field(_)) {
            self.begin();
        }
        if !may_be_heard(message.level()) {
            return;
        }
        match &mut self.teller {
            Teller::Now(now) => now.tell(id, &message),
            #[cfg(feature = "poll")]
            Teller::Later(later) => later.keep(id, message),
        }
    }

    /// The session's first moment.
    pub(crate) const fn began(&mut self, now: Duration) {
        self.began = now;
    }

    /// Tells that the session begins, once: with its first input, output or event. By then the
    /// span has its address.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if !core::mem::replace(&mut self.has_begun, true) {
            self.tell(None, Message::Began);
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
        match &mut self.teller {
            Teller::Now(now) => drop(now.streams.remove(&id)),
            #[cfg(feature = "poll")]
            Teller::Later(later) => later.gone(id),
        }
    }

    pub(crate) fn draining(&mut self, streams: usize) {
        self.tell(None, Message::Draining { streams });
    }

    pub(crate) fn stall_lasts(
        &mut self,
        obstacle: Obstacle,
        id: Option<StreamId>,
        waited: Duration,
        more: usize,
    ) {
        let message = Message::StallLasts {
            obstacle,
            waited,
            more,
        };
        self.tell(id, message);
    }

    pub(crate) fn stall_ended(
        &mut self,
        obstacle: Obstacle,
        id: Option<StreamId>,
        waited: Duration,
    ) {
        self.tell(id, Message::StallEnded { obstacle, waited });
    }

    pub(crate) fn ended(
        &mut self,
        reason: &CloseReason,
        now: Duration,
        stats: &SessionStats,
        streams: usize,
    ) {
        let message = Message::Ended(Ended {
            reason: reason.clone(),
            duration: now.saturating_sub(self.began),
            received: stats.bytes_received,
            sent: stats.bytes_emitted,
            streams,
        });
        self.tell(None, message);
    }
}
