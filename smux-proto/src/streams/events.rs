//! Events for the application.

use crate::{
    streams::stream::{Flag, Stream},
    streams::stream_queue::Ring,
    streams::table::{Key, Table},
    wire::StreamId,
};

/// An event for the application. Each is queued at most once until it is polled.
///
/// A stream has no events before it is accepted: after accepting, try to read first, and wait for
/// events after a pending call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A stream can be accepted.
    Acceptable,
    /// Opening was pending and may succeed now.
    Openable,
    /// A stream that had nothing to read has something: data, its end or an error.
    Readable(StreamId),
    /// A write or [`poll_sent`](crate::StreamMut::poll_sent) was pending and can go on.
    Writable(StreamId),
    /// The peer sends no more data on this stream; what it sent may still be unread.
    Finished(StreamId),
    /// The peer closed this stream: it reads no more, writing fails from now on.
    Stopped(StreamId),
    /// The session has a [close reason](crate::Session::close_reason): every waiting task must
    /// repeat its call. It comes once; after a [write error](crate::Session::handle_write_error) a
    /// second time, when nothing more is received. For a stream that is flushed afterwards,
    /// [`Event::Writable`] may follow.
    Closed,
}

/// Events not polled yet. Those of a stream are flags of the stream, so nothing grows without
/// bound.
#[derive(Debug, Default)]
pub(crate) struct Events {
    acceptable: bool,
    openable: bool,
    closed: bool,
    streams: Ring,
}

impl Events {
    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.streams.trim();
    }

    pub(crate) const fn acceptable(&mut self) {
        self.acceptable = true;
    }

    pub(crate) const fn openable(&mut self) {
        self.openable = true;
    }

    pub(crate) const fn closed(&mut self) {
        self.closed = true;
    }

    /// Queues the event that a stream has something to read, for which none waits any more.
    #[inline]
    pub(crate) fn raise_readable(&mut self, key: Key, stream: &mut Stream) {
        if !stream.is_held() {
            stream.clear(Flag::ReadWaits);
            return;
        }
        let is_queued = stream.has(Flag::InEvents);
        stream.replace([Flag::ReadWaits], [Flag::EventReadable, Flag::InEvents]);
        if !is_queued {
            self.streams.push(key);
        }
    }

    /// Queues one of the four events of a stream.
    #[inline]
    pub(crate) fn raise(&mut self, key: Key, stream: &mut Stream, event: Flag) {
        if !stream.is_held() {
            return;
        }
        let is_queued = stream.has(Flag::InEvents);
        stream.set_all([event, Flag::InEvents]);
        if !is_queued {
            self.streams.push(key);
        }
    }

    /// Whether there are any, or entries of streams that have gone.
    pub(crate) fn may_be_any(&self) -> bool {
        self.acceptable || self.openable || self.closed || !self.streams.is_empty()
    }

    /// Returns what `show` makes of the next event, and of where its stream stands if it is one of
    /// a stream.
    // With a function, what the caller has no use for is not put together: 8 instructions less.
    #[inline]
    pub(crate) fn poll<T>(
        &mut self,
        table: &mut Table,
        show: impl Fn((Event, Option<Key>)) -> T,
    ) -> Option<T> {
        if self.acceptable | self.openable {
            return self.poll_session().map(show);
        }
        let Some(key) = self.streams.pop() else {
            let closed = core::mem::take(&mut self.closed);
            return closed.then(|| show((Event::Closed, None)));
        };
        // By far the most frequent, and of most streams the only one.
        if let Some(stream) = table.get_mut(key)
            && stream.has(Flag::EventReadable)
            && !stream.has_any(LATER)
        {
            stream.clear_all([Flag::InEvents, Flag::EventReadable]);
            return Some(show((Event::Readable(stream.id), Some(key))));
        }
        self.poll_streams(key, table).map(show)
    }

    /// The next event of this stream or another, or else the session's last.
    #[inline(never)]
    fn poll_streams(&mut self, mut key: Key, table: &mut Table) -> Option<(Event, Option<Key>)> {
        loop {
            if let Some(stream) = table.get_mut(key) {
                if let Some(event) = take(stream) {
                    match stream.has_any(ORDER) {
                        true => self.streams.push(key),
                        false => stream.clear_all([Flag::InEvents]),
                    }
                    return Some((event, Some(key)));
                }
                stream.clear(Flag::InEvents);
            }
            match self.streams.pop() {
                Some(next) => key = next,
                None => break,
            }
        }
        core::mem::take(&mut self.closed).then_some((Event::Closed, None))
    }

    /// The event that a stream can be accepted, or that opening was pending and may succeed now.
    #[cold]
    fn poll_session(&mut self) -> Option<(Event, Option<Key>)> {
        if core::mem::take(&mut self.acceptable) {
            return Some((Event::Acceptable, None));
        }
        core::mem::take(&mut self.openable).then_some((Event::Openable, None))
    }

    /// A stream with queued events is gone.
    pub(crate) fn forget(&mut self, table: &Table) {
        self.streams.forget(|key| {
            table
                .get(key)
                .is_some_and(|stream| stream.has(Flag::InEvents))
        });
    }
}

/// The events of a stream, data before its end.
const ORDER: [Flag; 4] = [
    Flag::EventReadable,
    Flag::EventFinished,
    Flag::EventWritable,
    Flag::EventStopped,
];

/// Those that come after data, if there is any.
const LATER: [Flag; 3] = [Flag::EventFinished, Flag::EventWritable, Flag::EventStopped];

fn take(stream: &mut Stream) -> Option<Event> {
    let flag = ORDER.into_iter().find(|&flag| stream.has(flag))?;
    stream.clear(flag);
    Some(match flag {
        Flag::EventReadable => Event::Readable(stream.id),
        Flag::EventFinished => Event::Finished(stream.id),
        Flag::EventWritable => Event::Writable(stream.id),
        _ => Event::Stopped(stream.id),
    })
}
