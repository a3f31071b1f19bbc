//! What a pool tells its owner.

use std::{error::Error, time::Duration};

use crate::{CloseReason, Session};

/// What happened to a session of a pool: for logs, and for tasks that accept what the peer opens.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolEvent<'a> {
    /// A session was connected, and streams are opened on it from now on.
    Connected {
        /// The new one.
        session: &'a Session,
    },
    /// There was no session.
    ConnectFailed {
        /// The connector's error.
        error: &'a (dyn Error + Send + Sync + 'static),
        /// How long the pool waits before it tries again.
        pause: Duration,
    },
    /// A session ended that was in use.
    Lost {
        /// The one that ended.
        session: &'a Session,
        /// Why.
        reason: &'a CloseReason,
    },
    /// Another session takes the place of one that opens no more or has reached its lifetime. Its
    /// streams go on.
    Replaced {
        /// The old one.
        session: &'a Session,
    },
    /// A session beyond the smallest number had no streams for a while, and is closed.
    Idle {
        /// That one.
        session: &'a Session,
    },
}
