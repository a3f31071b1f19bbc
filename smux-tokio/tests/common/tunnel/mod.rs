//! The `tunnel` example, its modules in this process, with the ends, targets and files of a test.
//!
//! So no test runs an old binary, ports and ends are known without reading output, and either side
//! can end as in a crash. The arguments are those of the command line. The example's modules find
//! each other at the root of the crate, which imports all of this.
#![allow(
    dead_code,
    reason = "each test uses a part, and none what is for the terminal"
)]

#[path = "../../../examples/tunnel/arrivals.rs"]
pub(crate) mod arrivals;
#[path = "../../../examples/tunnel/cli.rs"]
pub(crate) mod cli;
#[path = "../../../examples/tunnel/client.rs"]
pub(crate) mod client;
#[path = "../../../examples/metrics/endpoint.rs"]
pub(crate) mod endpoint;
#[path = "../../../examples/metrics/exposition.rs"]
pub(crate) mod exposition;
#[path = "../../../examples/tunnel/hello.rs"]
pub(crate) mod hello;
#[path = "../../../examples/tunnel/kcp/mod.rs"]
pub(crate) mod kcp;
#[path = "../../../examples/tunnel/metrics.rs"]
pub(crate) mod metrics;
#[path = "../../../examples/tunnel/pool.rs"]
pub(crate) mod pool;
#[path = "../../../examples/tunnel/pump.rs"]
pub(crate) mod pump;
#[path = "../../../examples/tunnel/server.rs"]
pub(crate) mod server;
#[path = "../../../examples/tunnel/socket.rs"]
pub(crate) mod socket;
#[path = "../../../examples/tunnel/statistics.rs"]
pub(crate) mod statistics;
#[path = "../../../examples/tunnel/throttle.rs"]
pub(crate) mod throttle;
#[path = "../../../examples/tunnel/tls.rs"]
pub(crate) mod tls;
#[path = "../../../examples/tunnel/token.rs"]
pub(crate) mod token;
#[path = "../../../examples/tunnel/transport.rs"]
pub(crate) mod transport;

pub(crate) mod ends;
pub(crate) mod folder;
pub(crate) mod target;
