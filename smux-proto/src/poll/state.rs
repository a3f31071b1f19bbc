//! All that the lock protects, and the rules of who may do what with it.

use std::{
    task::{Poll, Waker},
    time::Duration,
};

use super::wakers::{BlockedStreams, FlushQueue, WaitQueue};
use crate::{
    CloseReason, OpenError, Session, StreamError, StreamId, StreamMut, streams::table::Key,
};

/// All that the lock protects.
pub(super) struct State {
    pub(super) session: Session,
    pub(super) blocked: BlockedStreams,
    pub(super) waiting: Waiting,
    pub(super) flushes: FlushQueue,
    pub(super) pumps: PumpWakers,
    session_handles: usize,
    /// Streams that the application holds, each until its last part is dropped.
    stream_handles: usize,
    live_pumps: u8,
    /// The session or its driver has ended and not everybody knows.
    pub(super) wake_everyone: bool,
    /// The session's next deadline may be earlier than when the timer pump was last woken or asked.
    pub(super) deadline_moved: bool,
    /// Events dispatched: about how often streams' tasks were woken, whoever they are. The few events of the session as a whole
    /// count too, which does not matter for what it is used for, to tell a crowd from a few.
    pub(super) streams_woken: u64,
}

/// Tasks that wait for the session as a whole.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) open: WaitQueue,
    pub(super) accept: WaitQueue,
    pub(super) finished: WaitQueue,
}

/// A pump has its waker here only while it wants to be woken.
#[derive(Default)]
pub(super) struct PumpWakers {
    pub(super) read: Option<Waker>,
    pub(super) write: Option<Waker>,
    pub(super) timer: Option<Waker>,
    /// The deadline for which the timer pump sleeps.
    pub(super) armed: Option<Duration>,
}

impl State {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            blocked: BlockedStreams::default(),
            waiting: Waiting::default(),
            flushes: FlushQueue::default(),
            pumps: PumpWakers::default(),
            session_handles: 1,
            stream_handles: 0,
            live_pumps: 3,
            wake_everyone: false,
            deadline_moved: false,
            streams_woken: 0,
        }
    }

    /// Acts on the stream of a live handle. The session keeps the stream until its handle closes it.
    pub(super) fn with_stream<R>(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut StreamMut<'_>) -> Poll<Result<R, StreamError>>,
    ) -> Poll<Result<R, StreamError>> {
        match self.session.stream_at(key) {
            Some(mut stream) => act(&mut stream),
            None => Poll::Ready(Err(StreamError::Closed(self.reason()))),
        }
    }

    pub(super) fn poll_stopped(&mut self, key: Key) -> Poll<Result<(), StreamError>> {
        let stopped = |stream: &mut StreamMut<'_>| Poll::Ready(Ok(stream.is_stopped()));
        match self.with_stream(key, stopped) {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(())),
            _ if self.session.is_closed() => Poll::Ready(Err(StreamError::Closed(self.reason()))),
            _ => Poll::Pending,
        }
    }

    /// Ready once the transport is flushed up to `mark`; until then the stream's waker for writing is woken then.
    pub(super) fn poll_flushed(&mut self, key: Key, mark: u64) -> Poll<Result<(), StreamError>> {
        if mark <= self.flushes.flushed() {
            return Poll::Ready(Ok(()));
        }
        if self.flushes.has_ended() || self.finished().is_ready() {
            return Poll::Ready(Err(StreamError::Closed(self.reason())));
        }
        self.flushes.wait(mark, key);
        Poll::Pending
    }

    /// Opens a stream for a handle.
    pub(super) fn open(&mut self) -> Poll<Result<(StreamId, Key), OpenError>> {
        let poll = self.session.open_at();
        self.count_stream(matches!(poll, Poll::Ready(Ok(_))));
        poll
    }

    /// Accepts a stream for a handle.
    pub(super) fn accept(&mut self) -> Poll<Result<(StreamId, Key), CloseReason>> {
        let poll = self.session.accept_at();
        self.count_stream(matches!(poll, Poll::Ready(Ok(_))));
        poll
    }

    fn count_stream(&mut self, begins: bool) {
        self.stream_handles += usize::from(begins);
    }

    /// Ready once nothing moves this session any more: its transport is dropped.
    pub(super) fn finished(&self) -> Poll<CloseReason> {
        if self.live_pumps > 0 {
            return Poll::Pending;
        }
        Poll::Ready(self.reason())
    }

    /// Why the session ended. A pump that goes ends the session before, so a reason exists once one is gone.
    pub(super) fn reason(&self) -> CloseReason {
        let reason = self.session.close_reason().cloned();
        reason.unwrap_or(CloseReason::Aborted)
    }

    pub(super) fn add_session_handle(&mut self) {
        self.session_handles += 1;
    }

    /// True: nothing of the session can be used any more, so it is to be closed.
    pub(super) fn drop_session_handle(&mut self) -> bool {
        self.session_handles -= 1;
        if self.session_handles == 0 {
            self.session.stop_accepting();
        }
        self.is_unused()
    }

    /// True: nothing of the session can be used any more, so it is to be closed.
    pub(super) fn drop_stream_handle(&mut self) -> bool {
        self.stream_handles -= 1;
        if self.stream_handles == 0 {
            self.blocked.trim();
        }
        self.is_unused()
    }

    fn is_unused(&self) -> bool {
        self.session_handles == 0 && self.stream_handles == 0
    }

    /// `done`: this pump has nothing left to do, whatever the session still does.
    pub(super) fn drop_pump(&mut self, done: bool) {
        if !done && !self.session.is_terminated() {
            self.session.abort();
        }
        self.live_pumps -= 1;
        self.wake_everyone |= self.live_pumps == 0;
    }
}
