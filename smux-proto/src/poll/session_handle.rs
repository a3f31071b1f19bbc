//! The application's handle on a session.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    shared::Shared,
    state::{Queue, State},
    stream_handle::StreamHandle,
};
use crate::{CloseReason, Config, OpenError, SessionStats, Side, Version};

/// A session whose transport a [`Driver`](super::Driver) moves. Clones are handles on the same session.
///
/// Nothing here blocks: what may have to wait is a future, and every future can be dropped at any moment without losing anything.
/// When the last handle is dropped, streams that the peer opens from then on are refused; when the last
/// [`StreamHandle`] is gone too, the session closes as by [`start_close`](Self::start_close).
pub struct SessionHandle {
    shared: Arc<Shared>,
}

impl SessionHandle {
    /// The first handle: `shared` counts one from the start.
    pub(super) fn first(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Opens a stream. It waits only while the limit of outbound streams is reached, or until a server that detects
    /// the version knows it. The peer learns of the stream with the next batch. Of several tasks that wait, the one that
    /// came first opens first. A future that was polled keeps its turn, so poll it on or drop it.
    ///
    /// # Errors
    /// Once the session has ended or drains, or when this side has used up all ids.
    pub async fn open(&self) -> Result<StreamHandle, OpenError> {
        let mut waiter = Waiter::new(&self.shared, Queue::Open);
        poll_fn(|cx| waiter.poll_open(cx)).await
    }

    /// Accepts the next stream that the peer opened. Of several tasks that wait, the one that came first gets it. A future
    /// that was polled keeps its turn, so poll it on or drop it.
    ///
    /// # Errors
    /// Once the session has ended and the streams that arrived before are accepted. If only writing to the transport fails, that is
    /// when the peer's end has been read, or after [`close_timeout`](Config::close_timeout).
    pub async fn accept(&self) -> Result<StreamHandle, CloseReason> {
        let mut waiter = Waiter::new(&self.shared, Queue::Accept);
        poll_fn(|cx| waiter.poll_accept(cx)).await
    }

    /// All streams that the peer opens, one after the other.
    pub fn incoming(&self) -> Incoming {
        Incoming {
            waiter: Waiter::new(&self.shared, Queue::Accept),
            session: self.clone(),
        }
    }

    /// Closes the session: what is queued is sent, then the transport's write side is shut and input discarded until the
    /// peer closes too, all of it within the configured
    /// [`close_timeout`](Config::close_timeout). Reading and writing fail from now on, except that what has arrived can be read.
    pub fn start_close(&self) {
        let now = self.shared.now();
        self.shared.act(|state| state.session.close(now));
    }

    /// [`start_close`](Self::start_close), then waits for the end. It goes on if the future is dropped.
    /// [`CloseReason::Local`] if nothing else had ended the session before.
    pub async fn close(&self) -> CloseReason {
        self.start_close();
        self.closed().await
    }

    /// Refuses new streams in both directions, lets those that are open end, then closes. After `limit` it closes anyway.
    pub fn start_drain(&self, limit: Duration) {
        let now = self.shared.now();
        self.shared.act(|state| state.session.drain(now, limit));
    }

    /// [`start_drain`](Self::start_drain), then waits for the end. It goes on if the future is dropped.
    pub async fn drain(&self, limit: Duration) -> CloseReason {
        self.start_drain(limit);
        self.closed().await
    }

    /// Ends the session at once. What is queued is lost.
    pub fn abort(&self) {
        self.shared.act(|state| state.session.abort());
    }

    /// Waits until the session has ended and its transport is dropped.
    pub async fn closed(&self) -> CloseReason {
        let mut waiter = Waiter::new(&self.shared, Queue::End);
        poll_fn(|cx| waiter.poll_end(cx)).await
    }

    /// Whether the session has ended or is closing: nothing can be opened or written any more.
    pub fn is_closed(&self) -> bool {
        self.shared.view(|state| state.session.is_closed())
    }

    /// Why the session has ended, or is closing.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared
            .view(|state| state.session.close_reason().cloned())
    }

    /// Streams of this session: open, half-closed, being closed, and waiting to be accepted.
    pub fn stream_count(&self) -> usize {
        self.shared.view(|state| state.session.stream_count())
    }

    /// A copy of the session's counters, as of now.
    pub fn stats(&self) -> SessionStats {
        let now = self.shared.now();
        self.shared.act(|state| {
            state.session.advance_time(now);
            state.session.stats()
        })
    }

    /// Whether this is the client or the server.
    pub fn side(&self) -> Side {
        self.shared.view(|state| state.session.side())
    }

    /// The protocol version; `None` while a server that detects it has not received a frame.
    pub fn version(&self) -> Option<Version> {
        self.shared.view(|state| state.session.version())
    }

    /// A copy of the session's configuration.
    pub fn config(&self) -> Config {
        self.shared.view(|state| state.session.config().clone())
    }
}

impl Clone for SessionHandle {
    fn clone(&self) -> Self {
        self.shared.act(State::add_session_handle);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        if self.shared.act(State::drop_session_handle) {
            let now = self.shared.now();
            self.shared.act(|state| state.session.close(now));
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("side", &self.side())
            .field("streams", &self.stream_count())
            .field("close_reason", &self.close_reason())
            .finish_non_exhaustive()
    }
}

/// The streams that the peer opens, for adapters to make a `Stream` of. It is a session handle: streams are accepted
/// while it lives. While it waits it keeps its turn, as [`SessionHandle::accept`] does.
#[derive(Debug)]
pub struct Incoming {
    waiter: Waiter,
    session: SessionHandle,
}

impl Incoming {
    /// Accepts the next stream. Errors as [`SessionHandle::accept`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<StreamHandle, CloseReason>> {
        self.waiter.poll_accept(cx)
    }

    /// The session whose streams these are.
    pub fn session(&self) -> &SessionHandle {
        &self.session
    }
}

/// One task's place in a queue, given up when dropped.
struct Waiter {
    shared: Arc<Shared>,
    queue: Queue,
    place: Option<usize>,
}

impl Waiter {
    fn new(shared: &Arc<Shared>, queue: Queue) -> Self {
        Self {
            shared: Arc::clone(shared),
            queue,
            place: None,
        }
    }

    fn poll<R>(&mut self, cx: &Context<'_>, mut act: impl FnMut(&mut State) -> Poll<R>) -> Poll<R> {
        let Self {
            shared,
            queue,
            place,
        } = self;
        let place = RefCell::new(place);
        let mut gone = None;
        let poll = shared.poll_on_streams(
            cx,
            |state| state.poll_turn(*queue, &mut place.borrow_mut(), &mut gone, &mut act),
            |state, waker| state.wait_for_turn(*queue, &mut place.borrow_mut(), waker),
        );
        drop(gone);
        poll
    }

    fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<StreamHandle, OpenError>> {
        let opened = self.poll(cx, State::open);
        opened.map_ok(|(id, key)| StreamHandle::new(&self.shared, id, key))
    }

    fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<Result<StreamHandle, CloseReason>> {
        let accepted = self.poll(cx, State::accept);
        accepted.map_ok(|(id, key)| StreamHandle::new(&self.shared, id, key))
    }

    fn poll_end(&mut self, cx: &Context<'_>) -> Poll<CloseReason> {
        self.poll(cx, |state| state.finished())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let queue = self.queue;
            let gone = self
                .shared
                .act_on_streams(|state| state.leave(queue, place));
            drop(gone);
        }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}
