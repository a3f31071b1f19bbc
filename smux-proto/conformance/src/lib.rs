//! Test tools for the implementations of this workspace.
//!
//! * [`frame`]: frames as bytes, encoded and decoded independently of the code under test.
//! * [`harness`]: one [`Session`](smux_proto::Session) against a peer that speaks raw frames, in
//!   virtual time, so that a test reads as a packet trace.
//! * [`pair`]: two sessions, joined by [`pipe`]s that delay, cut, fill up and die.
//! * [`long_link`]: two ends and a link with a rate and a round trip, for large transfers.
//! * [`go`]: live peers of five releases of the Go implementation.
//! * [`pattern`]: data in which a lost or moved byte shows.
//! * [`mod@suite`]: the scenarios that every implementation runs, and how to run them.
//! * [`trace`]: packet traces and odd inputs recorded with the Go implementation.
//! * [`world`]: a [pair](mod@pair) with an application at each end, checked against a [`model`]
//!   after every step; driven by a seed ([`simulation`]) or by a fuzzer ([`fuzz`]).
//!
//! Everything here is for tests: a violated expectation panics with a message.

pub mod frame;
pub mod fuzz;
pub mod go;
pub mod harness;
pub mod long_link;
pub mod model;
pub mod pair;
pub mod pattern;
pub mod pipe;
pub mod simulation;
pub mod suite;
pub mod trace;
pub mod world;

#[doc(hidden)]
pub use smux_proto::{CloseReason, Priority, SessionStats, StreamId, StreamStats, Version};
