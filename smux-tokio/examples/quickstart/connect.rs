//! The end that orders the work: every job first over raw TCP, then over one smux session.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use smux_tokio::{CloseReason, Session};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cli::Args;
use crate::listen::{push_all, serve_session};
use crate::protocol::{Carries, Request, config};
use crate::report::{BothEnds, Pair, Progress, Rate, Report};
use crate::work;

/// More raw connections than this would need more file descriptors than a process gets by default.
const MAX_CONNECTIONS: u32 = 100;

/// So many streams each way at the same time, so many bytes through each.
#[derive(Clone, Copy, Debug)]
struct Job {
    up: u32,
    down: u32,
    bytes: u64,
}

impl Job {
    fn new(up: u32, down: u32, total: u64) -> Self {
        Self {
            up,
            down,
            bytes: total.div_ceil(u64::from(up + down)),
        }
    }

    fn total(self) -> u64 {
        self.bytes * u64::from(self.up + self.down)
    }

    fn label(self) -> String {
        match (self.up, self.down) {
            (up, 0) => format!("{up} stream, client to server"),
            (0, down) => format!("{down} stream, server to client"),
            (up, down) => format!("{} streams, both ways", up + down),
        }
    }

    /// The same data over fewer connections, if there are more streams than connections allowed.
    fn over_connections(self) -> Self {
        let limit = |n: u32| n.min(MAX_CONNECTIONS / 2);
        Self::new(limit(self.up), limit(self.down), self.total())
    }
}

/// Runs all measurements against the server at `address` and prints the report.
pub(crate) async fn run(address: &str, args: &Args, both_ends: BothEnds) -> Result<()> {
    let total = args.bytes.as_u64();
    let jobs = [
        Job::new(1, 0, total),
        Job::new(0, 1, total),
        Job::new(args.streams.div_ceil(2), args.streams / 2, total),
    ];
    let mut report = Report::new(both_ends, args.smux_version);
    let progress = Progress::bar();

    let tcp = dial(address, Carries::Smux(args.smux_version)).await?;
    let session = Session::client_tcp(tcp, config(args.smux_version))?;
    let acceptor = tokio::spawn(serve_session(session.clone(), progress.clone()));

    for job in jobs {
        let raw = over_tcp(address, job.over_connections(), &progress)
            .await
            .context("raw TCP")?;
        let smux = over_smux(&session, job, &progress).await.context("smux")?;
        report.rate(job.label(), Pair { smux, raw });
    }
    let raw = round_trips_over_tcp(address, &progress)
        .await
        .context("raw TCP")?;
    let smux = round_trips_over_smux(&session, &progress)
        .await
        .context("smux")?;
    report.round_trips(Pair { smux, raw });

    let reason = session.close().await;
    ensure!(
        reason == CloseReason::Local,
        "the session did not last: {reason}"
    );
    acceptor.await?;
    progress.finish();
    report.print();
    Ok(())
}

async fn dial(address: &str, carries: Carries) -> Result<TcpStream> {
    let mut tcp = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    // Without it the kernel may hold small writes back for a delayed acknowledgement.
    tcp.set_nodelay(true)?;
    carries.write(&mut tcp).await?;
    Ok(tcp)
}

async fn over_tcp(address: &str, job: Job, progress: &Progress) -> Result<Rate> {
    // Connected before the clock starts: this measures moving data, not handshakes.
    let mut connections = Vec::new();
    for _ in 0..job.up + job.down {
        connections.push(dial(address, Carries::OneStream).await?);
    }
    progress.start(&format!("raw TCP: {}", job.label()), job.total());
    let start = Instant::now();
    let mut transfers = JoinSet::new();
    for (mut tcp, index) in connections.into_iter().zip(0..) {
        let progress = progress.clone();
        transfers.spawn(async move {
            if index < job.up {
                work::push(&mut tcp, job.bytes, &progress).await
            } else {
                work::pull(&mut tcp, job.bytes, &progress).await
            }
        });
    }
    while let Some(transferred) = transfers.join_next().await {
        transferred??;
    }
    Ok(progress.moved(job.total(), start.elapsed()))
}

async fn over_smux(session: &Session, job: Job, progress: &Progress) -> Result<Rate> {
    progress.start(&format!("smux:    {}", job.label()), job.total());
    let start = Instant::now();
    tokio::try_join!(
        push_all(session, job.up, job.bytes, progress),
        order_streams(session, job.down, job.bytes),
    )?;
    Ok(progress.moved(job.total(), start.elapsed()))
}

/// Has the server open `streams` streams; the acceptor task takes what they bring.
async fn order_streams(session: &Session, streams: u32, bytes: u64) -> Result<()> {
    if streams == 0 {
        return Ok(());
    }
    let mut order = session.open().await?;
    Request::Open { streams, bytes }.write(&mut order).await?;
    let answer = order
        .read_u8()
        .await
        .context("the server did not finish its streams")?;
    ensure!(answer == 1, "the server answered {answer}");
    Ok(())
}

async fn round_trips_over_tcp(address: &str, progress: &Progress) -> Result<Histogram<u64>> {
    let mut tcp = dial(address, Carries::OneStream).await?;
    progress.start("raw TCP: round trips", work::ROUND_TRIP_BYTES);
    work::round_trips(&mut tcp, progress).await
}

async fn round_trips_over_smux(session: &Session, progress: &Progress) -> Result<Histogram<u64>> {
    let mut stream = session.open().await?;
    progress.start("smux:    round trips", work::ROUND_TRIP_BYTES);
    work::round_trips(&mut stream, progress).await
}
