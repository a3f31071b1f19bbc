//! The poll layer without a runtime: polled by hand, over a transport made of two buffers.
#![cfg(feature = "poll")]

mod batches;
mod conformance;
mod driver;
mod flushes;
mod handles;
mod reentrancy;
mod shared_budget;
mod sharing;
mod small_writes;
#[cfg(feature = "tracing")]
mod subscribers;
mod turns;
mod waits;
mod wakers;
mod wire;
