//! Failures that the `tunnel` example survives. Afterwards its descriptors, tasks and memory are as
//! before.
//!
//! These are counted for the whole process, so the tests wait for each other. They are short and
//! use few descriptors. `SMUX_CONFORMANCE_FULL=1` gives them their full size: 10 000 descriptors,
//! minutes.

#[path = "../../examples/tunnel/arrivals.rs"]
mod arrivals;
#[path = "../../examples/tunnel/backoff.rs"]
mod backoff;
#[path = "../../examples/tunnel/cli.rs"]
#[allow(dead_code, reason = "what is for the terminal is not used here")]
mod cli;
#[path = "../../examples/tunnel/client.rs"]
mod client;
#[path = "../../examples/tunnel/hello.rs"]
mod hello;
#[path = "../../examples/tunnel/kcp/mod.rs"]
mod kcp;
#[path = "../../examples/tunnel/pool.rs"]
mod pool;
#[path = "../../examples/tunnel/pump.rs"]
mod pump;
#[path = "../../examples/tunnel/server.rs"]
mod server;
#[path = "../../examples/tunnel/socket.rs"]
mod socket;
#[path = "../../examples/tunnel/statistics.rs"]
mod statistics;
#[path = "../../examples/tunnel/throttle.rs"]
mod throttle;
#[path = "../../examples/tunnel/tls.rs"]
mod tls;
#[path = "../../examples/tunnel/transport.rs"]
mod transport;

#[path = "../common/mod.rs"]
mod common;
#[path = "../tunnel/ends.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod ends;
#[path = "../tunnel/folder.rs"]
mod folder;
#[path = "../tunnel/target.rs"]
mod target;

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
