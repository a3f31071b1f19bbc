//! What a listener tells its owner.

use std::{error::Error, io};

use crate::{CloseReason, Session};

/// What happened to a connection of a [`Listener`](super::Listener): for logs.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenerEvent<'a> {
    /// No connection could be accepted, most often for want of file descriptors. The listener tries
    /// again a little later.
    AcceptFailed {
        /// Why.
        error: &'a io::Error,
    },
    /// A connection was turned away because there are as many sessions as there may be.
    Refused,
    /// A connection did not become a session, or not in time.
    HandshakeFailed {
        /// Why.
        error: &'a (dyn Error + Send + Sync + 'static),
    },
    /// A session has begun.
    Started {
        /// The new one.
        session: &'a Session,
    },
    /// The peer or an error ended a session.
    Ended {
        /// The one that ended.
        session: &'a Session,
        /// Why.
        reason: &'a CloseReason,
    },
}
