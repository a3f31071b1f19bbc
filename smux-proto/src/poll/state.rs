//! All that the lock protects, and the rules of its use.

use std::{
    boxed::Box,
    task::{Poll, Waker},
    time::Duration,
    vec::Vec,
};

use super::{
    budget_share::Share,
    flush_queue::FlushQueue,
    outbox::Outboxes,
    shared_budget::SharedBudget,
    wait_queue::WaitQueue,
    wakers::{BlockedStreams, Spare},
};
use crate::{
    CloseReason, OpenError, Session, StreamError, StreamId, StreamMut, streams::table::Key,
};

/// All that the lock protects.
pub(super) struct State {
    pub(super) session: Session,
    pub(super) blocked: BlockedStreams,
    pub(super) waiting: Waiting,
    pub(super) flushes: FlushQueue,
    pub(super) outboxes: Outboxes,
    pub(super) pumps: PumpWakers,
    /// Its part of a budget that it shares with other sessions. Most sessions have none.
    pub(super) share: Option<Box<Share>>,
    session_handles: usize,
    /// Streams that the application holds, each until its last part is dropped.
    stream_handles: usize,
    live_pumps: u8,
    /// The session or its driver has ended, which is not broadcast yet.
    pub(super) wake_everyone: bool,
    /// The session's next deadline may be earlier than when the timer pump was last woken or asked.
    pub(super) deadline_moved: bool,
    /// Events dispatched: about how often the tasks of streams were woken. The few events of the
    /// session as a whole count too: it only has to tell many tasks from few.
    pub(super) streams_woken: u64,
    /// About how many tasks run between two pieces of input.
    pub(super) crowd: u64,
}

/// What a task can wait for of the session as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Open,
    Accept,
    End,
}

/// Tasks that wait for the session as a whole.
#[derive(Default)]
pub(super) struct Waiting {
    queues: [WaitQueue; 3],
    /// Wakers of tasks whose turn it is since another had its own.
    pub(super) called: Vec<Waker>,
}

impl Waiting {
    pub(super) fn queue(&mut self, queue: Queue) -> &mut WaitQueue {
        &mut self.queues[queue as usize]
    }
}

/// A pump has its waker here only while it wants to be woken.
#[derive(Default)]
pub(super) struct PumpWakers {
    /// Of the task that runs all three; then the others are not used.
    pub(super) driver: Option<DriverWaker>,
    pub(super) read: Option<Waker>,
    pub(super) write: Option<Waker>,
    /// The write pump's while its transport takes no bytes: only a flush concerns it then.
    pub(super) blocked_write: Option<Waker>,
    pub(super) timer: Option<Waker>,
    /// The deadline for which the timer pump sleeps.
    pub(super) armed: Option<Duration>,
}

/// A driver's waker, and what its pumps want to be woken for, besides an earlier deadline.
pub(super) struct DriverWaker {
    pub(super) waker: Waker,
    /// Room for input.
    pub(super) room: bool,
    /// Output, or the end of it.
    pub(super) output: bool,
    /// A flush of what the transport has taken.
    pub(super) flush: bool,
}

impl State {
    pub(super) fn new(mut session: Session) -> Self {
        session.keep_released();
        session.trace().keep_untold();
        Self {
            session,
            blocked: BlockedStreams::default(),
            waiting: Waiting::default(),
            flushes: FlushQueue::default(),
            outboxes: Outboxes::default(),
            pumps: PumpWakers::default(),
            share: None,
            session_handles: 1,
            stream_handles: 0,
            live_pumps: 3,
            wake_everyone: false,
            deadline_moved: false,
            streams_woken: 0,
            crowd: 0,
        }
    }

    /// Reserves room of a shared budget for what is held and so many bytes more.
    pub(super) fn reserve(&mut self, coming: usize) {
        if let Some(share) = &mut self.share {
            share.reserve(&mut self.session, coming);
        }
    }

    /// Goes on after a wait for room in a shared budget.
    pub(super) fn on_budget_freed(&mut self) {
        if let Some(share) = &mut self.share {
            share.on_freed(&mut self.session);
        }
    }

    /// Returns reserved room that is not needed. Serve those that wait for it without the lock.
    #[must_use]
    pub(super) fn give_back(&mut self) -> Option<SharedBudget> {
        let share = self.share.as_mut()?;
        share.give_back(&mut self.session)
    }

    /// Takes in what was written without the lock.
    #[inline]
    pub(super) fn take_in_outboxes(&mut self) {
        self.outboxes.take_in(&mut self.session);
    }

    /// Acts on the stream of a live handle. The session keeps the stream until its handle closes
    /// it.
    pub(super) fn act_on_stream<R>(
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
        let stream = self.session.stream_at(key);
        match stream.map(|stream| stream.is_stopped()) {
            Some(true) => Poll::Ready(Ok(())),
            _ if self.session.is_closed() => Poll::Ready(Err(StreamError::Closed(self.reason()))),
            Some(false) => Poll::Pending,
            // A future without a handle has outlived the stream.
            None => Poll::Ready(Err(StreamError::Finished)),
        }
    }

    /// Ready once the transport is flushed up to `mark`; until then the stream's waker for writing
    /// is woken then.
    pub(super) fn poll_flushed(&mut self, key: Key, mark: u64) -> Poll<Result<(), StreamError>> {
        if mark <= self.flushes.flushed() {
            return Poll::Ready(Ok(()));
        }
        if self.flushes.has_ended() {
            return Poll::Ready(Err(StreamError::Closed(self.reason())));
        }
        self.flushes.wait(mark, key);
        Poll::Pending
    }

    /// Acts when it is the turn of the task in `place`, which it gives up then.
    pub(super) fn poll_turn<R>(
        &mut self,
        queue: Queue,
        place: &mut Option<usize>,
        gone: &mut Option<Waker>,
        act: impl FnOnce(&mut Self) -> Poll<R>,
    ) -> Poll<R> {
        if !self.waiting.queue(queue).is_turn_of(*place) && !self.has_ended_for(queue) {
            return Poll::Pending;
        }
        let poll = act(self);
        if poll.is_ready()
            && let Some(place) = place.take()
        {
            *gone = self.leave(queue, place);
        } else if poll.is_ready() {
            self.call_next(queue);
        }
        poll
    }

    pub(super) fn wait_for_turn(
        &mut self,
        queue: Queue,
        place: &mut Option<usize>,
        waker: &mut Spare<'_>,
    ) {
        self.waiting.queue(queue).register(place, waker);
    }

    /// Gives up a place in a queue; the turn passes to the next. Drop what is returned without the
    /// lock.
    #[must_use]
    pub(super) fn leave(&mut self, queue: Queue, place: usize) -> Option<Waker> {
        let gone = self.waiting.queue(queue).leave(place);
        self.call_next(queue);
        gone
    }

    fn call_next(&mut self, queue: Queue) {
        if self.waiting.queue(queue).is_empty() {
            return;
        }
        let is_ready = match queue {
            Queue::Open => self.session.poll_openable(),
            Queue::Accept => self.session.is_acceptable(),
            // All are woken at once.
            Queue::End => false,
        };
        if is_ready {
            let next = self.waiting.queue(queue).call_next();
            self.waiting.called.extend(next);
        }
    }

    /// Whether every task in the queue gets an answer, so that none needs a turn.
    fn has_ended_for(&self, queue: Queue) -> bool {
        match queue {
            Queue::Open => self.session.is_closed(),
            Queue::Accept => self.session.is_input_over(),
            Queue::End => true,
        }
    }

    /// Opens a stream for a handle.
    pub(super) fn open(&mut self) -> Poll<Result<(StreamId, Key), OpenError>> {
        let poll = self.session.open_at();
        self.count_stream(matches!(poll, Poll::Ready(Ok(_))));
        poll
    }

    /// As [`open`](Self::open), if no task waits for that.
    pub(super) fn try_open(&mut self) -> Result<Option<(StreamId, Key)>, OpenError> {
        let is_turn = self.waiting.queue(Queue::Open).is_empty();
        if !is_turn && !self.has_ended_for(Queue::Open) {
            return Ok(None);
        }
        match self.open() {
            Poll::Ready(result) => result.map(Some),
            Poll::Pending => Ok(None),
        }
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

    /// Why the session ended. A pump that goes ends the session before, so a reason exists once one
    /// is gone.
    pub(super) fn reason(&self) -> CloseReason {
        let reason = self.session.close_reason().cloned();
        reason.unwrap_or(CloseReason::Aborted)
    }

    pub(super) fn add_session_handle(&mut self) {
        self.session_handles += 1;
    }

    /// Adds a handle, unless nothing of the session can be used any more.
    pub(super) fn revive_session_handle(&mut self) -> bool {
        let is_used = !self.is_unused();
        self.session_handles += usize::from(is_used);
        is_used
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

    /// Nothing is written or flushed any more. `done`: because there is no need.
    pub(super) fn end_writing(&mut self, done: bool) {
        self.abort_unless(done);
        self.flushes.end();
    }

    fn abort_unless(&mut self, done: bool) {
        if !done && !self.session.is_terminated() {
            self.session.abort();
        }
    }

    /// `done`: this pump has nothing left to do, whatever the session still does.
    pub(super) fn drop_pump(&mut self, done: bool) {
        self.abort_unless(done);
        self.live_pumps -= 1;
        self.wake_everyone |= self.live_pumps == 0;
    }
}

/// With its counts and its clock, the one allocation that each session has from the start.
#[cfg(all(target_pointer_width = "64", not(feature = "tracing")))]
const _: () = assert!(size_of::<State>() <= 2_304);
