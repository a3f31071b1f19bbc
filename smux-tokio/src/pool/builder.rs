//! The settings of a pool.

use std::{fmt, time::Duration};

use super::{event::PoolEvent, shared::Options};

/// No pause would make every attempt follow the last at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The settings of a [`Pool`](super::Pool): see [`Pool::builder`](super::Pool::builder).
#[must_use = "a builder does nothing unless its pool is started"]
pub struct PoolBuilder(Options);

impl Default for PoolBuilder {
    fn default() -> Self {
        Self(Options {
            min_sessions: 1,
            max_sessions: 1,
            max_opened: u64::MAX,
            lifetime: None,
            drain_limit: Duration::MAX,
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            first_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(30),
            on_event: Box::new(|_| {}),
        })
    }
}

impl PoolBuilder {
    /// Keeps so many sessions up, at least one; 1 unless set.
    pub fn sessions(self, count: usize) -> Self {
        self.min_sessions(count.max(1)).max_sessions(count)
    }

    /// Keeps so many sessions up, even without streams; 1 unless set. With 0, the first session is
    /// connected when a stream is to be opened.
    pub fn min_sessions(mut self, count: usize) -> Self {
        self.0.min_sessions = count;
        self
    }

    /// Connects as many sessions as are needed, up to this number; 1 unless set. Another one is
    /// needed when all have as many streams as the
    /// [`max_outbound_streams`](crate::ConfigBuilder::max_outbound_streams) of their configuration.
    ///
    /// A number below [`min_sessions`](Self::min_sessions), or 0, counts as that of the sessions
    /// that are kept up, or 1.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.0.max_sessions = count;
        self
    }

    /// How long a session beyond [`min_sessions`](Self::min_sessions) is kept without streams; a
    /// minute unless set. It may be up to twice as long.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.0.idle_timeout = timeout;
        self
    }

    /// How many streams a session opens in all before it is replaced; those that are open go on. No
    /// limit unless set. A session that has used up its stream ids is replaced in any case.
    pub fn max_opened(mut self, streams: u64) -> Self {
        self.0.max_opened = streams;
        self
    }

    /// How long a session opens streams before it is replaced; each gets up to a tenth less, at
    /// random. No limit unless set.
    ///
    /// It opens streams until the new session is connected, so that a peer which cannot be reached
    /// just then costs nothing.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.0.lifetime = Some(lifetime);
        self
    }

    /// How long the streams of a session that was replaced may go on. No limit unless set.
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.0.drain_limit = limit;
        self
    }

    /// How long an attempt to connect may take; 10 seconds unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.0.connect_timeout = timeout;
        self
    }

    /// Pauses after a session is lost or cannot be connected: the first one, and the longest. Each
    /// is twice the one before, less up to a half at random. From 200 ms to 30 s unless set.
    ///
    /// They begin anew after a session that has lasted for 10 seconds. The first is at least 1 ms.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.0.first_pause = first;
        self.0.max_pause = longest;
        self
    }

    /// Is called by the pool's tasks with what happens to its sessions. It should return soon, and
    /// a panic of it closes the pool.
    pub fn on_event<F>(mut self, on_event: F) -> Self
    where
        F: Fn(&PoolEvent<'_>) + Send + Sync + 'static,
    {
        self.0.on_event = Box::new(on_event);
        self
    }

    pub(super) fn options(self) -> Options {
        let mut options = self.0;
        options.max_sessions = options.max_sessions.max(options.min_sessions).max(1);
        options.first_pause = options.first_pause.max(SHORTEST_PAUSE);
        options
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("min_sessions", &self.0.min_sessions)
            .field("max_sessions", &self.0.max_sessions)
            .field("max_opened", &self.0.max_opened)
            .field("lifetime", &self.0.lifetime)
            .finish_non_exhaustive()
    }
}
