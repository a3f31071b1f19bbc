//! What a session tells `tracing`, if feature `tracing` is on: never payload, and nothing per
//! frame. The levels are in the crate's documentation.

#[cfg(feature = "tracing")]
mod enabled;
#[cfg(feature = "tracing")]
pub(crate) use enabled::Trace;

#[cfg(not(feature = "tracing"))]
mod disabled;
#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::Trace;
