//! The state that handles and pumps share, and the one place that locks it and wakes.

use std::{
    mem::take,
    sync::PoisonError,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    sync::{Mutex, MutexGuard},
    transport::Clock,
    wakers::{BlockedStreams, FlushQueue, Interest, WaitQueue, WakeList},
};
use crate::{
    CloseReason, Event, OpenError, Session, StreamError, StreamId, StreamMut, streams::table::Key,
};

pub(super) struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

impl Shared {
    pub(super) fn new(session: Session, clock: Clock) -> Self {
        Self {
            state: Mutex::new(State {
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
            }),
            clock,
        }
    }

    /// Call it without the lock: the clock is the embedder's and may have locks of its own.
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Tells the session the time, after a call that told none. It only counts, which concerns nobody.
    pub(super) fn advance_time(&self) {
        let now = self.now();
        self.lock().session.advance_time(now);
    }

    /// Locks, runs `act`, collects whom its effects concern, unlocks, wakes them.
    ///
    /// Wakers that `act` takes out of the state must leave it in its result, so that they are dropped without the lock.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.with_streams(|state| {
            state.deadline_moved = true;
            act(state)
        })
    }

    /// As [`with`](Self::with) for `act`s that only open, accept, use and close streams, which concerns nobody most of the time.
    ///
    /// They bring no deadline forward, but that of a peer's silence when they make room in a full receive buffer; then
    /// the read pump is woken, and looks at deadlines itself. The timer pump, whose concern they are, calls it too.
    pub(super) fn with_streams<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let paused = !state.session.wants_input();
        let result = act(&mut state);
        let goes_on = paused && state.session.wants_input();
        if state.concerns_somebody() {
            self.wake(state);
        } else {
            drop(state);
        }
        if goes_on {
            // The pause counts up to here.
            self.advance_time();
        }
        result
    }

    #[inline(never)]
    fn wake<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let mut wakes = WakeList::default();
        loop {
            let more = state.collect(&mut wakes);
            drop(state);
            wakes.wake_all();
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    /// As [`with`](Self::with) for `act`s that may have to wait: if pending, `place` stores the task's waker in the state.
    pub(super) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State) -> Poll<R>,
        place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    ) -> Poll<R> {
        let mut replaced = None;
        let poll = self.with(|state| or_wait(state, cx, act, place, &mut replaced));
        drop(replaced);
        poll
    }

    /// As [`poll`](Self::poll), for `act`s as of [`with_streams`](Self::with_streams).
    pub(super) fn poll_streams<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State) -> Poll<R>,
        place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    ) -> Poll<R> {
        let mut replaced = None;
        let poll = self.with_streams(|state| or_wait(state, cx, act, place, &mut replaced));
        drop(replaced);
        poll
    }

    /// The pumps need not be woken before they have placed their wakers again. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn take_pump_wakers(&self) -> impl Sized + use<> {
        take(&mut self.lock().pumps)
    }

    /// Reads a fact. Nothing may change, so nobody is woken.
    pub(super) fn view<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Code of others runs under the lock, and may panic there: a caller's buffer, the clone of a waker, a subscriber of `tracing`.
    /// The session goes on with what such a call left. After a buffer that is consistent: what it took is accounted for. After a
    /// subscriber, the call that it was told of may be half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker that the new one replaces is to be dropped without the lock.
fn or_wait<R>(
    state: &mut State,
    cx: &Context<'_>,
    act: impl FnOnce(&mut State) -> Poll<R>,
    place: impl FnOnce(&mut State, &Waker) -> Option<Waker>,
    replaced: &mut Option<Waker>,
) -> Poll<R> {
    let poll = act(state);
    if poll.is_pending() {
        *replaced = place(state, cx.waker());
    }
    poll
}

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
    wake_everyone: bool,
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
    /// Whether [`collect`](Self::collect) may have anybody to wake.
    fn concerns_somebody(&self) -> bool {
        (self.deadline_moved && self.pumps.timer.is_some())
            || self.wake_everyone
            || self.session.has_events()
            || self.flushes.is_due()
            || self.read_pump_is_due()
            || self.write_pump_is_due()
    }

    fn read_pump_is_due(&self) -> bool {
        self.pumps.read.is_some() && (self.session.is_terminated() || self.session.wants_input())
    }

    fn write_pump_is_due(&self) -> bool {
        self.pumps.write.is_some()
            && (self.session.is_terminated()
                || self.session.wants_transmit()
                || self.session.wants_shutdown())
    }

    fn timer_pump_is_due(&self) -> bool {
        self.pumps.timer.is_some()
            && (self.session.is_terminated()
                || is_earlier(self.session.poll_timeout(), self.pumps.armed))
    }

    /// Takes the wakers that are due. True: there may be more.
    fn collect(&mut self, wakes: &mut WakeList) -> bool {
        while wakes.has_room()
            && let Some((event, key)) = self.session.poll_event_at()
        {
            self.streams_woken += 1;
            self.dispatch(event, key, wakes);
        }
        while wakes.has_room()
            && let Some(key) = self.flushes.pop()
        {
            wakes.extend(self.blocked.take(key, Interest::Write));
        }
        let more = !wakes.has_room();
        if take(&mut self.wake_everyone) {
            self.broadcast(wakes);
        }
        self.collect_pumps(wakes);
        more
    }

    fn dispatch(&mut self, event: Event, key: Option<Key>, wakes: &mut WakeList) {
        let interests: &[_] = match event {
            Event::Acceptable => return wakes.extend(self.waiting.accept.take_all()),
            Event::Openable => return wakes.extend(self.waiting.open.take_all()),
            Event::Closed => return self.wake_everyone = true,
            Event::Readable(_) | Event::Finished(_) => &[Interest::Read],
            Event::Writable(_) => &[Interest::Write],
            Event::Stopped(_) => &[Interest::Write, Interest::Stop],
        };
        for &interest in interests {
            wakes.extend(key.and_then(|key| self.blocked.take(key, interest)));
        }
    }

    fn broadcast(&mut self, wakes: &mut WakeList) {
        wakes.extend(self.waiting.accept.take_all());
        wakes.extend(self.waiting.open.take_all());
        wakes.extend(self.waiting.finished.take_all());
        wakes.extend(self.blocked.take_all());
        self.flushes.clear();
    }

    fn collect_pumps(&mut self, wakes: &mut WakeList) {
        if self.read_pump_is_due() {
            wakes.extend(self.pumps.read.take());
        }
        if self.write_pump_is_due() {
            wakes.extend(self.pumps.write.take());
        }
        if take(&mut self.deadline_moved) && self.timer_pump_is_due() {
            wakes.extend(self.pumps.timer.take());
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

fn is_earlier(deadline: Option<Duration>, armed: Option<Duration>) -> bool {
    match (deadline, armed) {
        (Some(deadline), Some(armed)) => deadline < armed,
        (deadline, None) => deadline.is_some(),
        (None, Some(_)) => false,
    }
}
