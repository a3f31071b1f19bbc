//! The `tunnel` example, its modules in this process. So no test runs an old binary, ports and ends
//! are known without reading output, and either side can end as in a crash. The arguments are those
//! of the command line.

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

mod arguments;
mod closing;
#[allow(dead_code, reason = "a part of it is used here")]
mod ends;
mod folder;
mod gone;
mod kcptun;
mod no_half_close;
mod pumping;
mod reaching;
mod strangers;
mod target;
mod transports;
