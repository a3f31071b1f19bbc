//! The poll layer without a runtime: polled by hand, over a transport made of two buffers.
#![cfg(feature = "poll")]

mod driver;
mod flushes;
mod reentrancy;
mod waits;
mod wakers;
mod wire;
