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
pub(crate) use enabled::Trace;
#[cfg(all(feature = "tracing", feature = "poll"))]
pub(crate) use later::Untold;

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::Trace;
#[cfg(all(not(feature = "tracing"), feature = "poll"))]
pub(crate) use disabled::Untold;
