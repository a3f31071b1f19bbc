//! The application's handle on a session.

use std::{
    boxed::Box,
    cell::RefCell,
    fmt,
    future::poll_fn,
    hash::{Hash, Hasher},
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
    vec::Vec,
};

use super::{
    addresses::Addresses,
    budget_share::Share,
    shared::{SessionId, Shared},
    shared_budget::SharedBudget,
    state::{Queue, State},
    stream_handle::StreamHandle,
};
use crate::{
    CloseReason, Config, OpenError, SessionStats, Side, StreamId, StreamStats, Version,
    streams::table::Key,
};

/// A session whose transport a [`Driver`](super::Driver) moves. Clones are handles on the same
/// session.
///
/// Nothing here blocks: what may have to wait is a future, and every future can be dropped at any
/// moment without losing anything. When the last handle is dropped, streams that the peer opens
/// from then on are refused; when the last [`StreamHandle`] is gone too, the session closes as by
/// [`start_close`](Self::start_close).
///
/// Two handles are equal if they are handles on the same session.
pub struct SessionHandle {
    shared: Arc<Shared>,
    addresses: Addresses,
    /// Places of [`poll_open`](Self::poll_open) and [`poll_accept`](Self::poll_accept).
    opening: Option<usize>,
    accepting: Option<usize>,
}

impl SessionHandle {
    /// The first handle: `shared` counts one from the start.
    pub(super) fn first(shared: Arc<Shared>) -> Self {
        Self::counted(shared, Addresses::default())
    }

    /// A handle that `shared` has counted.
    fn counted(shared: Arc<Shared>, addresses: Addresses) -> Self {
        Self {
            shared,
            addresses,
            opening: None,
            accepting: None,
        }
    }

    /// This handle, and the streams and clones made from it, with these addresses of the transport.
    /// With feature `tracing`, the session's span tells the peer's.
    #[must_use]
    pub fn with_addresses(mut self, addresses: Addresses) -> Self {
        if let Some(peer) = addresses.peer() {
            self.shared
                .act_on_streams(|state| state.session.trace().peer(peer));
        }
        self.addresses = addresses;
        self
    }

    /// Lets the session hold received data within `budget`, which it shares with the other sessions
    /// that have it. It takes the place of one that was given before.
    #[must_use]
    pub fn with_shared_budget(self, budget: &SharedBudget) -> Self {
        let session: Weak<Shared> = Arc::downgrade(&self.shared);
        let share = Box::new(Share::new(budget, session));
        let before = self.shared.act(|state| {
            let before = state.share.replace(share);
            state.reserve(0);
            before
        });
        drop(before);
        self
    }

    /// The addresses of the transport, as far as they are known.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The session's number, which no other session of this process has.
    pub fn id(&self) -> SessionId {
        self.shared.id()
    }

    /// A weak handle, which does not keep the session open.
    pub fn downgrade(&self) -> WeakSessionHandle {
        WeakSessionHandle {
            shared: Arc::downgrade(&self.shared),
            id: self.id(),
            addresses: self.addresses.clone(),
        }
    }

    /// Opens a stream. It waits only while the limit of outbound streams is reached, or until a
    /// server that detects the version knows it. The peer learns of the stream with the next batch.
    /// Of several tasks that wait, the one that came first opens first. A future that was polled
    /// keeps its turn, so poll it on or drop it.
    ///
    /// # Errors
    /// Once the session has ended or drains, or when this side has used up all ids.
    pub async fn open(&self) -> Result<StreamHandle, OpenError> {
        let mut waiter = self.waiter(Queue::Open);
        let opened = poll_fn(|cx| waiter.poll(cx, State::open)).await?;
        Ok(self.stream(opened))
    }

    /// [`open`](Self::open) as a poll function. While it is pending, this handle keeps its place in
    /// the queue.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<StreamHandle, OpenError>> {
        let place = &mut self.opening;
        let opened = poll_turn(&self.shared, Queue::Open, place, cx, State::open);
        opened.map_ok(|opened| self.stream(opened))
    }

    /// [`open`](Self::open), if that need not wait; otherwise `None`. It does not overtake waiting
    /// calls.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn try_open(&self) -> Result<Option<StreamHandle>, OpenError> {
        let opened = self.shared.act_on_streams(State::try_open);
        Ok(opened?.map(|opened| self.stream(opened)))
    }

    /// Accepts the next stream that the peer opened. Of several tasks that wait, the one that came
    /// first gets it. A future that was polled keeps its turn, so poll it on or drop it.
    ///
    /// # Errors
    /// Once the session has ended and the streams that arrived before are accepted. If only writing
    /// to the transport fails, that is when the peer's end has been read, or after
    /// [`close_timeout`](Config::close_timeout).
    pub async fn accept(&self) -> Result<StreamHandle, CloseReason> {
        let mut waiter = self.waiter(Queue::Accept);
        let accepted = poll_fn(|cx| waiter.poll(cx, State::accept)).await?;
        Ok(self.stream(accepted))
    }

    /// [`accept`](Self::accept) as a poll function. While it is pending, this handle keeps its
    /// place in the queue.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<StreamHandle, CloseReason>> {
        let place = &mut self.accepting;
        let accepted = poll_turn(&self.shared, Queue::Accept, place, cx, State::accept);
        accepted.map_ok(|accepted| self.stream(accepted))
    }

    /// Refuses the streams that the peer opens from now on, and closes those that wait to be
    /// accepted.
    ///
    /// A side that accepts nothing should call this: in version 1, a stream that is neither
    /// accepted nor read fills the receive buffer, and then holds up all others. It cannot be
    /// undone.
    pub fn stop_accepting(&self) {
        self.shared
            .act_on_streams(|state| state.session.stop_accepting());
    }

    /// All streams that the peer opens, one after the other.
    pub fn incoming(&self) -> Incoming {
        Incoming {
            session: self.clone(),
        }
    }

    /// Closes the session: what is queued is sent, then the transport's write side is shut. Input
    /// is then discarded until the peer closes too. All of it takes at most the configured
    /// [`close_timeout`](Config::close_timeout). Reading and writing fail from now on, except that
    /// what has arrived can be read.
    pub fn start_close(&self) {
        let now = self.shared.now();
        self.shared.act(|state| {
            state.take_in_outboxes();
            state.session.close(now);
        });
    }

    /// [`start_close`](Self::start_close), then waits for the end. It goes on if the future is
    /// dropped. [`CloseReason::Local`] if nothing else had ended the session before.
    pub async fn close(&self) -> CloseReason {
        self.start_close();
        self.closed().await
    }

    /// Refuses new streams in both directions, lets those that are open end, then closes. After
    /// `limit` it closes anyway.
    pub fn start_drain(&self, limit: Duration) {
        let now = self.shared.now();
        self.shared.act(|state| state.session.drain(now, limit));
    }

    /// [`start_drain`](Self::start_drain), then waits for the end. It goes on if the future is
    /// dropped.
    pub async fn drain(&self, limit: Duration) -> CloseReason {
        self.start_drain(limit);
        self.closed().await
    }

    /// Ends the session at once. What is queued is lost.
    pub fn abort(&self) {
        self.shared.advance_time();
        self.shared.act(|state| state.session.abort());
    }

    /// Waits until the session has ended and its transport is dropped.
    ///
    /// This handle keeps the session open meanwhile. To watch a session, take
    /// [`on_closed`](Self::on_closed).
    pub async fn closed(&self) -> CloseReason {
        self.on_closed().await
    }

    /// Resolves when the session has ended and its transport is dropped. The future does not keep
    /// the session open.
    pub fn on_closed(&self) -> impl Future<Output = CloseReason> + Send + Sync + Unpin + use<> {
        let mut waiter = self.waiter(Queue::End);
        poll_fn(move |cx| waiter.poll(cx, |state| state.finished()))
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

    /// The streams that the application holds, each with what it did so far, in no particular
    /// order: a copy, made under the session's lock.
    pub fn streams(&self) -> Vec<(StreamId, StreamStats)> {
        self.shared.advance_time();
        self.shared.act_on_streams(|state| {
            state.take_in_outboxes();
            state.session.streams().collect()
        })
    }

    /// A copy of the session's counters, as of now.
    pub fn stats(&self) -> SessionStats {
        let now = self.shared.now();
        self.shared.act(|state| {
            state.session.advance_time(now);
            state.take_in_outboxes();
            state.session.stats()
        })
    }

    fn waiter(&self, queue: Queue) -> Waiter {
        Waiter {
            shared: Arc::clone(&self.shared),
            queue,
            place: None,
        }
    }

    fn stream(&self, (id, key): (StreamId, Key)) -> StreamHandle {
        StreamHandle::new(&self.shared, id, key, self.addresses.clone())
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
        Self::counted(Arc::clone(&self.shared), self.addresses.clone())
    }
}

impl PartialEq for SessionHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for SessionHandle {}

impl Hash for SessionHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        leave(&self.shared, Queue::Open, self.opening);
        leave(&self.shared, Queue::Accept, self.accepting);
        if self.shared.act(State::drop_session_handle) {
            let now = self.shared.now();
            self.shared.act(|state| state.session.close(now));
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("id", &self.id())
            .field("side", &self.side())
            .field("streams", &self.stream_count())
            .field("close_reason", &self.close_reason())
            .finish_non_exhaustive()
    }
}

/// A weak handle: it neither keeps its session alive nor open.
#[derive(Clone)]
pub struct WeakSessionHandle {
    shared: Weak<Shared>,
    id: SessionId,
    addresses: Addresses,
}

impl WeakSessionHandle {
    /// A handle on the session; `None` once all its handles and streams are gone.
    ///
    /// If only streams are left, the session refuses the peer's new streams, and still does with
    /// the new handle.
    pub fn upgrade(&self) -> Option<SessionHandle> {
        let shared = self.shared.upgrade()?;
        let addresses = self.addresses.clone();
        shared
            .act(State::revive_session_handle)
            .then(|| SessionHandle::counted(shared, addresses))
    }

    /// The session's number.
    pub fn id(&self) -> SessionId {
        self.id
    }
}

impl fmt::Debug for WeakSessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSessionHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The streams that the peer opens, for adapters to make a `Stream` of. It is a session handle:
/// streams are accepted while it lives. While it waits it keeps its turn, as
/// [`SessionHandle::accept`] does.
#[derive(Debug)]
pub struct Incoming {
    session: SessionHandle,
}

impl Incoming {
    /// Accepts the next stream. Errors as [`SessionHandle::accept`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<StreamHandle, CloseReason>> {
        self.session.poll_accept(cx)
    }

    /// The session whose streams these are.
    pub fn session(&self) -> &SessionHandle {
        &self.session
    }
}

/// Acts when it is the turn of the task in `place`; until then it waits there.
fn poll_turn<R>(
    shared: &Shared,
    queue: Queue,
    place: &mut Option<usize>,
    cx: &Context<'_>,
    mut act: impl FnMut(&mut State) -> Poll<R>,
) -> Poll<R> {
    let place = RefCell::new(place);
    let mut gone = None;
    let poll = shared.poll_on_streams(
        cx,
        |state| state.poll_turn(queue, &mut place.borrow_mut(), &mut gone, &mut act),
        |state, waker| state.wait_for_turn(queue, &mut place.borrow_mut(), waker),
    );
    drop(gone);
    poll
}

fn leave(shared: &Shared, queue: Queue, place: Option<usize>) {
    if let Some(place) = place {
        let gone = shared.act_on_streams(|state| state.leave(queue, place));
        drop(gone);
    }
}

/// One task's place in a queue, given up when dropped. It does not keep the session.
struct Waiter {
    shared: Arc<Shared>,
    queue: Queue,
    place: Option<usize>,
}

impl Waiter {
    fn poll<R>(&mut self, cx: &Context<'_>, act: impl FnMut(&mut State) -> Poll<R>) -> Poll<R> {
        poll_turn(&self.shared, self.queue, &mut self.place, cx, act)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        leave(&self.shared, self.queue, self.place);
    }
}
