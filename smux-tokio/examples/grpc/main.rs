//! gRPC over smux: `tonic` at both ends, on streams of one session.
//!
//! Both ends live in this process and talk over loopback TCP. Each answer is compared with what was
//! sent. First come messages both ways at once, then many unary calls over one session and over
//! plain TCP, side by side; at last the session is killed while calls are under way, and none may
//! fail that begins after the pool has connected again.
//!
//! | file | job |
//! |---|---|
//! | `server.rs` | the service, as it would be generated |
//! | `codec.rs` | messages that are their own bytes |
//! | `client.rs`, `load.rs` | calls, and many at once |

mod client;
mod codec;
mod load;
mod server;

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use smux_tokio::{Config, Listener, ListenerHandle, Pool, PoolEvent, Session, WeakSession};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};

use crate::{load::Figures, server::Echo};

/// HTTP/2 connections: streams of one session, or TCP connections.
const CHANNELS: usize = 4;
const MESSAGES: u64 = 1_000;

/// Call a gRPC service over the streams of one smux session, and put the latency beside plain TCP.
#[derive(Debug, Parser)]
#[command(name = "grpc")]
struct Args {
    /// Calls to make, over smux and over TCP each
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    calls: u64,

    /// Calls that are under way at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let at_once = usize::from(args.concurrency);
    let smux = Smux::start().await?;
    client::both_ways(smux.channels[0].clone(), MESSAGES).await?;
    println!("{MESSAGES} messages went both ways and came back as they were");

    let over_smux = load::run(&smux.channels, "smux", args.calls, at_once, |_| {}).await?;
    let over_tcp = over_tcp(args.calls, at_once).await?;
    report(&over_smux, &over_tcp);
    let failed = over_smux.failed + over_tcp.failed;
    ensure!(failed == 0, "{failed} calls failed");

    let killed = smux.kill_during(args.calls.min(10_000), at_once).await?;
    println!(
        "session killed: of {} calls {} failed",
        killed.calls, killed.failed
    );
    smux.stop().await
}

/// Both ends, over one session at a time.
struct Smux {
    pool: Pool,
    channels: Vec<Channel>,
    /// The session that the pool has now, and since when.
    session: Arc<Mutex<Option<(WeakSession, Instant)>>>,
    sessions: ListenerHandle,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Smux {
    async fn start() -> Result<Self> {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        let listener = Listener::tcp(tcp, Config::v2());
        let sessions = listener.handle();
        let server = tokio::spawn(Server::builder().serve_with_incoming(Echo, listener));

        let session = Arc::new(Mutex::new(None));
        let current = Arc::clone(&session);
        let pool = Pool::builder()
            .on_event(move |event| {
                if let PoolEvent::Connected { session } = event {
                    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                    *current = Some((session.downgrade(), Instant::now()));
                }
            })
            .start(move || Session::connect(address, Config::v2()));
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            // The name is only for the server's `Host`: the pool knows where to go.
            let endpoint = Endpoint::from_static("http://echo.example");
            channels.push(endpoint.connect_with_connector(pool.clone()).await?);
        }
        Ok(Self {
            pool,
            channels,
            session,
            sessions,
            server,
        })
    }

    /// Makes calls, and kills the session in their midst. Those fail that are under way, and some
    /// that follow until the channels notice.
    async fn kill_during(&self, calls: u64, at_once: usize) -> Result<Figures> {
        let session = Arc::clone(&self.session);
        let before = move |number| {
            if number == calls / 2 {
                let current = session.lock().unwrap_or_else(PoisonError::into_inner);
                let session = current.as_ref().and_then(|(session, _)| session.upgrade());
                if let Some(session) = session {
                    session.abort();
                }
            }
        };
        let figures = load::run(&self.channels, "smux", calls, at_once, before).await?;
        let stats = self.pool.stats();
        ensure!(stats.sessions_lost == 1, "no session was lost");
        let current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, connected) = current.as_ref().context("no session")?;
        ensure!(
            figures.last_failed.is_none_or(|began| began < *connected),
            "a call failed that began after the next session was connected"
        );
        drop(current);
        Ok(figures)
    }

    async fn stop(self) -> Result<()> {
        drop(self.channels);
        self.pool.close().await;
        self.sessions.close().await;
        Ok(self.server.await??)
    }
}

async fn over_tcp(calls: u64, at_once: usize) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tokio::spawn(Server::builder().serve_with_incoming(Echo, incoming));
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        channels.push(connect(address).await?);
    }
    let figures = load::run(&channels, "tcp", calls, at_once, |_| {}).await?;
    server.abort();
    Ok(figures)
}

async fn connect(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    endpoint.connect().await.context("cannot connect over TCP")
}

fn report(smux: &Figures, tcp: &Figures) {
    println!(
        "{:<24}{:>12}{:>12}{:>12}",
        "", "smux v2", "TCP", "smux / TCP"
    );
    let rate = |figures: &Figures| figures.calls as f64 / figures.time.as_secs_f64();
    print_row("calls per second", rate(smux), rate(tcp), 0);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let millis = |figures: &Figures| figures.latency.value_at_quantile(quantile) as f64 / 1e6;
        let label = format!("latency, {name}, ms");
        print_row(&label, millis(smux), millis(tcp), 2);
    }
}

fn print_row(label: &str, smux: f64, tcp: f64, digits: usize) {
    let ratio = smux / tcp;
    println!("{label:<24}{smux:>12.digits$}{tcp:>12.digits$}{ratio:>12.2}");
}
