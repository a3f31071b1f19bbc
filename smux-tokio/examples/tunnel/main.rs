//! Forwards TCP connections through smux sessions.
//!
//! ```sh
//! # on the machine that can reach the target, here a web server
//! tunnel server --listen 0.0.0.0:4000 --target 127.0.0.1:8080
//! # on the machine that wants to
//! tunnel client --listen 127.0.0.1:8080 --server server.example:4000
//! ```
//!
//! where `tunnel` is `cargo run --release -p smux-tokio --example tunnel --`; `--help` after
//! `server` or `client` lists the options. Both print `listening on ADDR` when they are ready.
//!
//! # Over TLS
//!
//! Plain TCP and KCP neither encrypt nor authenticate. TLS encrypts, and authenticates the server
//! to its clients. The clients are authenticated by certificates of their own, by a token, or by
//! both; without either, every client is served. The README has the commands.
//!
//! # Over KCP, and with kcptun
//!
//! `--transport kcp` speaks what [kcptun](https://github.com/xtaci/kcptun) speaks with its
//! encryption, error correction and compression off; either end can be kcptun's:
//!
//! ```sh
//! # since 2026 also: --closewait 0
//! kcptun-server -l :4000 -t 127.0.0.1:8080 --crypt none --nocomp --ds 0 --ps 0 --smuxver 2
//! tunnel client --listen 127.0.0.1:8080 --server server.example:4000 \
//!     --transport kcp --kcp-crypt none --no-half-close
//!
//! tunnel server --listen 0.0.0.0:4000 --target 127.0.0.1:8080 \
//!     --transport kcp --kcp-crypt none --no-half-close
//! kcptun-client -l :8080 -r server.example:4000 --crypt none --nocomp --ds 0 --ps 0 --smuxver 2
//! ```
//!
//! Newer releases of kcptun also have `--crypt null`, plain KCP without a header; that is
//! `--kcp-crypt null`. kcptun closes a connection as a whole when one direction ends, so the end
//! that talks to it must not end one direction alone: `--no-half-close`.
//!
//! kcptun's server of 2026 keeps a stream for `--closewait` seconds after one direction has ended:
//! give it `--closewait 0`. With another `--crypt`, error correction or compression no session
//! starts, and the log says what it may be. With kcptun's `--QPP` wrong bytes arrive, and no end
//! can tell: it must be off.
//!
//! KCP cannot say that it ends. An end that goes away is noticed when nothing has come from it for
//! the keep-alive timeout.
//!
//! # What happens when
//!
//! * The client keeps `--sessions` sessions up and connects again, after growing pauses, when one
//!   is lost. Connections wait for a session, up to `--connect-timeout`; those that a lost session
//!   carried are reset.
//! * A TCP connection that ends one direction (`shutdown`) ends that direction at the other side;
//!   the other goes on. One that is reset is reset at the other side, and so is one whose target
//!   cannot be reached.
//! * A client sends a first frame at once. A peer that sends none takes no session's place: it is
//!   dropped after `--first-frame-timeout`, or before if 256 newer ones wait. Over KCP it must also
//!   acknowledge ours, so that its address is known to be its own.
//! * A server with room for the session answers the client's first frame; the client waits for that
//!   before it opens streams, for a second at most: servers of other kinds do not answer. One that
//!   is turned away tries again later, and its connections wait meanwhile.
//! * A half-closed connection is reset when nothing has moved for `--half-close-timeout`, or when
//!   the user or the target is found to be gone; the system probes silent ones after a minute. When
//!   a session is lost, what it has brought is delivered as long as it is taken.
//! * Each limit that is reached is a line in the log, at most one every 10 seconds, which counts
//!   those that it stands for.
//! * The first Ctrl-C or SIGTERM stops accepting and waits until the open connections have ended,
//!   at most `--drain`; then sessions close, which sends what is queued, for at most 5 s. What has
//!   arrived gets 3 s more; a user that has not read it by then is reset. The second Ctrl-C cuts
//!   everything.
//!
//! # Where what is
//!
//! | file | job |
//! |---|---|
//! | `cli.rs` | the arguments |
//! | `client.rs`, `pool.rs` | accepting connections; the sessions that carry them |
//! | `server.rs`, `arrivals.rs` | serving sessions and their streams; peers without a first frame |
//! | `pump.rs`, `socket.rs` | a TCP connection and a stream, both ways; what sockets are told |
//! | `transport.rs`, `hello.rs`, `tls.rs`, `kcp/` | what sessions run over; first frames |
//! | `token.rs` | the secret that clients must know |
//! | `metrics.rs`, `endpoint.rs`, `exposition.rs` | counters over HTTP; the last two are the metrics example's |
//! | `statistics.rs`, `terminal.rs`, `throttle.rs` | counters; log and live line; limited entries |
//! | `shutdown.rs` | Ctrl-C |

mod arrivals;
mod cli;
mod client;
#[path = "../metrics/endpoint.rs"]
mod endpoint;
#[path = "../metrics/exposition.rs"]
mod exposition;
mod hello;
mod kcp;
mod metrics;
mod pool;
mod pump;
mod server;
mod shutdown;
mod socket;
mod statistics;
mod terminal;
mod throttle;
mod tls;
mod token;
mod transport;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::server::Server;
use crate::statistics::Statistics;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> Result<()> {
    let terminal = Terminal::new(cli.stats);
    terminal.log(cli.log);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let statistics = Statistics::default();
    let shutdown = CancellationToken::new();
    let result = runtime.block_on(async {
        tokio::select! {
            result = run(&cli.command, &statistics, &shutdown) => result,
            result = shutdown::on_signals(&shutdown) => {
                result?;
                bail!("stopped at once: open connections were cut");
            }
            () = terminal.show(&statistics) => Ok(()),
        }
    });
    terminal.clear();
    tracing::info!("carried: {}", statistics.totals());
    // Not waiting for a look-up of a name, which cannot be stopped.
    runtime.shutdown_background();
    result
}

async fn run(
    command: &Command,
    statistics: &Statistics,
    shutdown: &CancellationToken,
) -> Result<()> {
    match command {
        Command::Server(args) => {
            let server = Server::bind(args, statistics, shutdown).await?;
            announce(server.local_addr()?, server.metrics);
            server.run().await
        }
        Command::Client(args) => {
            let client = Client::bind(args, statistics).await?;
            announce(client.local_addr()?, client.metrics);
            client.run(shutdown).await
        }
    }
}

/// Prints the addresses to standard output, since the system may have chosen the ports.
fn announce(address: SocketAddr, metrics: Option<SocketAddr>) {
    println!("listening on {address}");
    if let Some(metrics) = metrics {
        println!("metrics on http://{metrics}/metrics");
    }
}
