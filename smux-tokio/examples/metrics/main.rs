//! The counters of sessions, for Prometheus: moves data once, then serves what it counted.
//!
//! ```sh
//! cargo run -p smux-tokio --example metrics -- --listen 127.0.0.1:9184
//! curl http://127.0.0.1:9184/metrics
//! ```
//!
//! | file | job |
//! |---|---|
//! | `exposition.rs` | the text format, and which counters are in it |
//! | `endpoint.rs` | HTTP |
//!
//! Both are to copy: `exposition.rs` needs only `smux-tokio`. The tunnel example has the same two.

mod endpoint;
mod exposition;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use smux_tokio::{Config, Session, SessionStats, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time,
};

use crate::exposition::{Live, Snapshot};

const STREAMS: usize = 8;
const BYTES: usize = 4 << 20;
/// How long the server lets each stream wait before it reads, so that there are stalls to see.
const PAUSE: Duration = Duration::from_millis(200);

/// Serve the counters of two sessions in the text format of Prometheus.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where to serve /metrics; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9184")]
    listen: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let page = TcpListener::bind(&cli.listen).await?;
    println!("listening on {}", page.local_addr()?);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Session::connect(listener.local_addr()?, Config::v2()).await?;
    let server = Session::server_tcp(listener.accept().await?.0, Config::v2())?;
    let sessions = [("client", client.clone()), ("server", server.clone())];
    let serving = tokio::spawn(endpoint::serve(page, move || snapshot(&sessions)));

    let (sent, read) = tokio::try_join!(send(&client), receive(&server))?;
    ensure!(sent == read, "{sent} bytes were sent and {read} read");
    println!("moved {sent} bytes on {STREAMS} streams; Ctrl-C ends");
    tokio::select! {
        served = serving => served??,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

/// A program whose sessions end adds their last counters to the totals.
fn snapshot(sessions: &[(&str, Session)]) -> Snapshot {
    let mut totals = SessionStats::default();
    for (_, session) in sessions {
        totals += &session.stats();
    }
    let live = sessions.iter();
    Snapshot {
        totals,
        live: live
            .map(|(name, session)| Live::new(name, session))
            .collect(),
    }
}

/// Sends data on several streams and returns the number of bytes sent.
async fn send(client: &Session) -> Result<usize> {
    let mut senders = JoinSet::new();
    for _ in 0..STREAMS {
        let mut stream = client.open().await?;
        senders.spawn(async move {
            stream.write_all(&vec![7; BYTES]).await?;
            stream.shutdown().await
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(STREAMS * BYTES)
}

async fn receive(server: &Session) -> Result<usize> {
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        readers.spawn(read_late(server.accept().await?));
    }
    let mut bytes = 0;
    while let Some(read) = readers.join_next().await {
        bytes += read??;
    }
    Ok(bytes)
}

async fn read_late(mut stream: Stream) -> Result<usize> {
    time::sleep(PAUSE).await;
    Ok(stream.read_to_end(&mut Vec::new()).await?)
}
