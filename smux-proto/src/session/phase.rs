//! How far a session is on its way to the end.
//!
//! ```text
//!   Open ──drain──► Draining ──last stream gone, limit──┐
//!    │ └───────────────close──────────────────────────► Closing ──all has left──► Shut
//!    └──write error──► Receiving                           │                       │
//!                          └──end of input, limit──► Terminated ◄──limit, peer's end┘
//! ```
//!
//! An abort, the end of the transport, a protocol error and a dead peer lead from everywhere to
//! `Terminated`.

use core::time::Duration;

/// How far the session is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No new streams; closes when the last has gone, or at this time.
    Draining(Duration),
    /// Sends what is queued, until this time.
    Closing(Duration),
    /// Everything has left; discards input until the peer's end, or until this time.
    Shut(Duration),
    /// The transport takes no more bytes; receives what it still has, until its end or this time.
    Receiving(Duration),
    /// The transport is of no more use.
    Terminated,
}
