//! What the handles and the tasks of a pool share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{connect::Connector, event::PoolEvent, link::Link, stats::PoolStats};
use crate::{
    Session, WeakSession,
    phase::{self, Phase},
};

pub(super) type OnEvent = Box<dyn Fn(&PoolEvent<'_>) + Send + Sync>;

pub(super) struct Options {
    pub(super) min_sessions: usize,
    pub(super) max_sessions: usize,
    pub(super) max_opened: u64,
    pub(super) lifetime: Option<Duration>,
    pub(super) drain_limit: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) first_pause: Duration,
    pub(super) max_pause: Duration,
    pub(super) on_event: OnEvent,
}

/// What streams can be opened on; `None` since the pool has closed.
pub(super) type Offer = Option<Vec<Arc<Link>>>;

pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) connector: Connector,
    pub(super) offer: watch::Sender<Offer>,
    /// Each task of the pool has a receiver, so the end of the last one is noticed.
    pub(super) phase: watch::Sender<Phase>,
    books: Mutex<Books>,
}

/// Never locked while anything is waited for, or while foreign code runs.
#[derive(Default)]
struct Books {
    /// Tasks that keep a session up, and those of them that have none.
    keepers: usize,
    connecting: usize,
    waiting: usize,
    /// Streams of a session at the same time, as the last one had it.
    max_streams: Option<usize>,
    sessions: Vec<WeakSession>,
    /// Counters, and the sums of sessions that have ended.
    counted: PoolStats,
}

impl Shared {
    pub(super) fn new(options: Options, connector: Connector) -> Self {
        Self {
            options,
            connector,
            offer: watch::Sender::new(Some(Vec::new())),
            phase: watch::Sender::new(Phase::Open),
            books: Mutex::default(),
        }
    }

    /// The session with the fewest streams.
    pub(super) fn least_loaded(&self) -> Option<Arc<Link>> {
        let offer = self.offer.borrow();
        let usable = offer.iter().flatten().filter(|link| link.is_usable());
        usable
            .min_by_key(|link| link.session.stream_count())
            .cloned()
    }

    /// Adds a session, and takes another away.
    pub(super) fn publish(&self, link: &Arc<Link>, instead_of: Option<&Arc<Link>>) {
        let mut books = self.books();
        books.max_streams = Some(link.max_streams);
        books.sessions.push(link.session.downgrade());
        books.counted.sessions_connected += 1;
        if instead_of.is_some() {
            books.counted.sessions_replaced += 1;
        }
        drop(books);
        self.change_offer(|links| {
            links.push(Arc::clone(link));
            instead_of.and_then(|old| take(links, old))
        });
    }

    /// Takes a session away that is not replaced.
    pub(super) fn withdraw(&self, link: &Arc<Link>) {
        self.change_offer(|links| take(links, link));
    }

    /// What is taken out is dropped by the caller of `change`, not under the lock.
    fn change_offer(&self, change: impl FnOnce(&mut Vec<Arc<Link>>) -> Option<Arc<Link>>) {
        let mut gone = None;
        self.offer.send_modify(|offer| {
            if let Some(links) = offer {
                gone = change(links);
            }
        });
        drop(gone);
    }

    /// Ends the pool. Nothing is opened any more, and its tasks do as `phase` says.
    pub(super) fn end(&self, phase: Phase) {
        let links = self.offer.send_replace(None);
        phase::enter(&self.phase, phase);
        drop(links);
    }

    /// Counts a session that has ended among the sums.
    pub(super) fn settle(&self, session: &Session) {
        let mut stats = session.stats();
        // It holds nothing any more.
        stats.receive_buffered = 0;
        stats.send_queued = 0;
        stats.windows_granted = 0;
        stats.windows_exceeded = 0;
        stats.starved_streams = 0;
        stats.glitches = 0;
        stats.round_trip = None;
        let mut books = self.books();
        books.sessions.retain(|known| known.id() != session.id());
        books.counted.totals += &stats;
    }

    pub(super) fn stats(&self) -> PoolStats {
        let offered = self.offer.borrow().iter().flatten().count();
        let books = self.books();
        let mut stats = books.counted.clone();
        stats.connecting = books.connecting;
        stats.waiting = books.waiting;
        let mut sessions = Vec::with_capacity(books.sessions.len());
        for session in books.sessions.iter().filter_map(WeakSession::upgrade) {
            stats.open_streams += session.stream_count();
            stats.totals += &session.stats();
            sessions.push(session);
        }
        drop(books);
        stats.sessions = offered.min(sessions.len());
        stats.draining = sessions.len() - stats.sessions;
        stats
    }

    pub(super) fn count_failure(&self) {
        self.books().counted.connects_failed += 1;
    }

    pub(super) fn count_lost(&self) {
        self.books().counted.sessions_lost += 1;
    }

    pub(super) fn tell(&self, event: &PoolEvent<'_>) {
        (self.options.on_event)(event);
    }

    /// Whether one more keeper is needed, which is then counted.
    pub(super) fn add_keeper(&self) -> bool {
        let room = self.room();
        let mut books = self.books();
        // Sessions on their way have room for so many; the first one will tell how much that is.
        let expected = match books.max_streams {
            Some(streams) => books.connecting.saturating_mul(streams),
            None if books.connecting > 0 => usize::MAX,
            None => 0,
        };
        let expected = expected.saturating_add(room);
        let Options {
            min_sessions,
            max_sessions,
            ..
        } = self.options;
        let is_wanted = books.keepers < min_sessions
            || books.keepers < max_sessions && books.waiting > expected;
        if is_wanted {
            books.keepers += 1;
            books.connecting += 1;
        }
        is_wanted
    }

    /// How many streams can be opened on the sessions there are. Some of those that wait are about
    /// to do so.
    fn room(&self) -> usize {
        let offer = self.offer.borrow();
        let usable = offer.iter().flatten().filter(|link| link.is_usable());
        usable.fold(0, |room, link| room.saturating_add(link.room()))
    }

    /// Whether a keeper may end, since there are more than are needed; then it counts no more.
    pub(super) fn spare_keeper(&self) -> bool {
        let mut books = self.books();
        let is_spared = books.keepers > self.options.min_sessions && books.waiting == 0;
        books.keepers -= usize::from(is_spared);
        is_spared
    }

    pub(super) fn remove_keeper(&self) {
        self.books().keepers -= 1;
    }

    pub(super) fn start_connecting(&self) {
        self.books().connecting += 1;
    }

    pub(super) fn stop_connecting(&self) {
        self.books().connecting -= 1;
    }

    /// Counts a call that waits, as long as what is returned lives.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.books().waiting += 1;
        Waiting(self)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for a session.
pub(super) struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.books().waiting -= 1;
    }
}

fn take(links: &mut Vec<Arc<Link>>, link: &Arc<Link>) -> Option<Arc<Link>> {
    let at = links.iter().position(|known| Arc::ptr_eq(known, link))?;
    Some(links.remove(at))
}
