//! A pool's counters.

use crate::SessionStats;

/// What a pool holds and did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Sessions that streams are opened on.
    pub sessions: usize,
    /// Sessions that are being connected, or wait for their next attempt.
    pub connecting: usize,
    /// Sessions that open no more, and whose streams go on.
    pub draining: usize,
    /// Streams of all sessions.
    pub open_streams: usize,
    /// Calls that wait for a session with room for a stream.
    pub waiting: usize,
    /// Sessions connected so far.
    pub sessions_connected: u64,
    /// Attempts to connect that failed.
    pub connects_failed: u64,
    /// Sessions that ended while they were in use.
    pub sessions_lost: u64,
    /// Sessions replaced because they opened no more or had reached their lifetime.
    pub sessions_replaced: u64,
    /// The sums over all sessions, those that have ended included. What sessions hold is counted of
    /// those that there are.
    pub totals: SessionStats,
}
