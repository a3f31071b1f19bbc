//! Counts what all sessions of the process carry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytesize::ByteSize;
use smux_tokio::{Pool, Session, SessionStats, WeakSession};

use crate::exposition::{Live, Snapshot};

/// The sessions that there are, and the sums of those that there were. Clones are handles on the
/// same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    live: HashMap<u64, Session>,
    pool: Option<Pool>,
    /// The pool's sessions.
    pooled: Vec<WeakSession>,
    ended: SessionStats,
}

/// Sums over sessions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub sessions: usize,
    pub open_streams: usize,
    pub streams: u64,
    pub sent: u64,
    pub received: u64,
    /// Times that a session stopped reading because its receive buffer was full.
    pub stalls: u64,
}

/// A session is counted as one that is alive for as long as this is.
#[derive(Debug)]
pub(crate) struct Counted {
    statistics: Statistics,
    key: u64,
}

impl Statistics {
    pub(crate) fn count(&self, session: &Session) -> Counted {
        let mut state = self.lock();
        let key = state.next;
        state.next += 1;
        state.live.insert(key, session.clone());
        Counted {
            statistics: self.clone(),
            key,
        }
    }

    /// Counts the sessions of a pool, which sums them itself.
    pub(crate) fn count_pool(&self, pool: &Pool) {
        self.lock().pool = Some(pool.clone());
    }

    /// What a pool calls with each of its sessions, which are shown by themselves too. It does not
    /// keep the statistics, which keep the pool.
    pub(crate) fn watcher(&self) -> impl Fn(&Session) + Send + Sync + 'static {
        let state = Arc::downgrade(&self.0);
        move |session| {
            if let Some(state) = state.upgrade() {
                Self(state).lock().pooled.push(session.downgrade());
            }
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let state = self.lock();
        let stats = state.sum();
        let mut totals = Totals {
            sessions: state.live.len(),
            open_streams: state.live.values().map(Session::stream_count).sum(),
            streams: stats.streams_opened + stats.streams_accepted,
            sent: stats.payload_sent,
            received: stats.payload_received,
            stalls: stats.receive_stalls,
        };
        if let Some(pool) = &state.pool {
            let stats = pool.stats();
            totals.sessions += stats.sessions + stats.draining;
            totals.open_streams += stats.open_streams;
        }
        totals
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = self.lock();
        let totals = state.sum();
        let mut sessions: Vec<_> = state.live.values().cloned().collect();
        state.pooled.retain(|weak| {
            let session = weak.upgrade();
            let is_there = session.is_some();
            sessions.extend(session);
            is_there
        });
        // The last handle may be one of these, and dropping it closes the session.
        drop(state);
        sessions.retain(|session| !session.is_closed());
        let live = sessions.iter();
        Snapshot {
            totals,
            live: live
                .map(|session| Live::new(session.id(), session))
                .collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.statistics.lock();
        let session = state.live.remove(&self.key);
        if let Some(session) = &session {
            state.ended += &session.stats();
        }
        // Dropping the last handle closes the session: not under the lock.
        drop(state);
        drop(session);
    }
}

impl State {
    /// The counters of all sessions that there are and were.
    fn sum(&self) -> SessionStats {
        let mut sum = self.ended.clone();
        for session in self.live.values() {
            sum += &session.stats();
        }
        if let Some(pool) = &self.pool {
            sum += &pool.stats().totals;
        }
        sum
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sessions, {} of {} connections open, {} sent, {} received, {} stalls",
            self.sessions,
            self.open_streams,
            self.streams,
            ByteSize(self.sent),
            ByteSize(self.received),
            self.stalls,
        )
    }
}
