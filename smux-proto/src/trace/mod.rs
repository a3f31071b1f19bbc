//! What a session tells `tracing`, if feature `tracing` is on: never payload, and nothing per
//! frame. The levels are in the crate's documentation.
//!
//! The core alone tells everything at once. The poll layer calls the session under a lock, where a
//! subscriber must not run: there, what is to be told is [kept](Trace::keep_untold), and told after
//! unlocking.

#[cfg(feature = "tracing")]
mod enabled;
#[cfg(all(feature = "tracing", feature = "poll"))]
mod later;
#[cfg(feature = "tracing")]
mod message;
#[cfg(feature = "tracing")]
mod stall_watch;
#[cfg(feature = "tracing")]
pub(crate) use enabled::Trace;
#[cfg(all(feature = "tracing", feature = "poll"))]
pub(crate) use later::Untold;
#[cfg(feature = "tracing")]
pub(crate) use stall_watch::StallWatch;

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(all(not(feature = "tracing"), feature = "poll"))]
pub(crate) use disabled::Untold;
#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::{StallWatch, Trace};

use core::time::Duration;

use crate::wire::StreamId;

/// What holds data up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// The transport takes no output.
    Link,
    /// The peer grants no window: it does not read the stream.
    Window,
    /// The application does not read what has arrived.
    Reader,
    /// The receive buffer, or the budget that sessions share, is full of other data.
    Budget,
}

/// A stall as a session sees it at one moment.
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "only subscribers are told of it")
)]
#[derive(Debug)]
pub(crate) struct Stall {
    pub(crate) obstacle: Obstacle,
    /// `None` if it concerns all streams.
    pub(crate) stream: Option<StreamId>,
    /// A counter that moves if data does.
    pub(crate) progress: u64,
    /// When it began; the moment of the look if that is not known.
    pub(crate) since: Duration,
}
