//! What a session tells `tracing`, if feature `tracing` is on: never payload, and nothing per frame.
//! The levels are in the crate's documentation.

#[cfg(feature = "tracing")]
mod on;
#[cfg(feature = "tracing")]
pub(crate) use on::Trace;

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(not(feature = "tracing"))]
pub(crate) use off::Trace;
