//! Failures that the `tunnel` example survives. Afterwards its descriptors, tasks and memory are as
//! before.
//!
//! These are counted for the whole process, so the tests wait for each other. They are short and
//! use few descriptors. `SMUX_CONFORMANCE_FULL=1` gives them their full size: 10 000 descriptors,
//! minutes.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/tunnel/mod.rs"]
mod tunnel;
use tunnel::*;

mod half_closed;
mod junk;
mod link;
mod lost;
mod replaced;
mod transports;
mod usage;

/// `full` with `SMUX_CONFORMANCE_FULL=1`, else `short`.
fn size<T>(short: T, full: T) -> T {
    if std::env::var_os("SMUX_CONFORMANCE_FULL").is_some_and(|value| value == "1") {
        full
    } else {
        short
    }
}
