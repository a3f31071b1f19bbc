//! Counts what all sessions of the process carry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytesize::ByteSize;
use smux_tokio::{Pool, Session, SessionStats};

/// The sessions that there are, and the sums of those that there were. Clones are handles on the
/// same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    live: HashMap<u64, Session>,
    pool: Option<Pool>,
    ended: Totals,
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

    pub(crate) fn totals(&self) -> Totals {
        let state = self.lock();
        let mut totals = state.ended;
        for session in state.live.values() {
            totals.sessions += 1;
            totals.open_streams += session.stream_count();
            totals.add(&session.stats());
        }
        if let Some(pool) = &state.pool {
            let stats = pool.stats();
            totals.sessions += stats.sessions + stats.draining;
            totals.open_streams += stats.open_streams;
            totals.add(&stats.totals);
        }
        totals
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
            state.ended.add(&session.stats());
        }
        // Dropping the last handle closes the session: not under the lock.
        drop(state);
        drop(session);
    }
}

impl Totals {
    fn add(&mut self, stats: &SessionStats) {
        self.streams += stats.streams_opened + stats.streams_accepted;
        self.sent += stats.payload_sent;
        self.received += stats.payload_received;
        self.stalls += stats.receive_stalls;
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
