//! What is kept under a lock, to be told without it.
//!
//! Spans are made, told in, and dropped only in [`Untold::tell`]: each of that is the subscriber's.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use std::sync::OnceLock;

use tracing::Span;

use super::message::{Message, stream_span};
use crate::wire::StreamId;

/// Made when the stream's first message is told, which another thread may do.
type StreamSpan = Arc<OnceLock<Span>>;

#[derive(Debug)]
pub(crate) struct Later {
    /// `None` if no subscriber wants it.
    session: Option<Arc<Span>>,
    /// Empty unless a subscriber may want to see them, so that a stream costs nothing otherwise.
    streams: BTreeMap<StreamId, StreamSpan>,
    kept: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    Message {
        id: Option<StreamId>,
        span: Option<StreamSpan>,
        message: Message,
    },
    /// To be dropped in its turn.
    Gone { _span: StreamSpan },
}

impl Later {
    pub(super) fn new(session: Span, streams: BTreeMap<StreamId, Span>) -> Self {
        let streams = streams.into_iter();
        Self {
            session: (!session.is_disabled()).then(|| Arc::new(session)),
            streams: streams
                .map(|(id, span)| (id, Arc::new(OnceLock::from(span))))
                .collect(),
            kept: Vec::new(),
        }
    }

    pub(super) fn keep(&mut self, id: Option<StreamId>, message: Message) {
        if let Some(id) = id
            && message.begins_stream()
        {
            self.gone(id);
            self.streams.insert(id, StreamSpan::default());
        }
        let span = id.and_then(|id| self.streams.get(&id).map(Arc::clone));
        self.kept.push(Kept::Message { id, span, message });
    }

    pub(super) fn gone(&mut self, id: StreamId) {
        if let Some(span) = self.streams.remove(&id) {
            self.kept.push(Kept::Gone { _span: span });
        }
    }

    pub(super) fn has_untold(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) fn untold(&mut self) -> Untold {
        Untold {
            session: self.session.as_ref().map(Arc::clone),
            kept: core::mem::take(&mut self.kept),
        }
    }
}

/// What is to be told, in order. What several threads have to tell may mix.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    session: Option<Arc<Span>>,
    kept: Vec<Kept>,
}

impl Untold {
    /// Runs the subscriber: call it without the lock.
    pub(crate) fn tell(self) {
        let none = Span::none();
        let session = self.session.as_deref().unwrap_or(&none);
        for kept in self.kept {
            if let Kept::Message { id, span, message } = kept {
                tell(session, id, span.as_deref(), &message);
            }
        }
    }
}

fn tell(session: &Span, id: Option<StreamId>, span: Option<&OnceLock<Span>>, message: &Message) {
    if let (Some(id), Some(span)) = (id, span)
        && message.begins_stream()
    {
        // It is the first and only one: a stream begins once.
        let _ = span.set(stream_span(session, id));
    }
    let span = span.and_then(OnceLock::get);
    let span = span.filter(|span| !span.is_disabled());
    message.tell(span.unwrap_or(session), id);
}
