//! Many calls at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::client;

pub(crate) struct Figures {
    pub calls: u64,
    /// Calls without an answer.
    pub failed: u64,
    /// When the last of these began.
    pub last_failed: Option<Instant>,
    pub time: Duration,
    /// In nanoseconds.
    pub latency: Histogram<u64>,
}

/// Makes so many calls, `at_once` of them at a time, spread over the channels. `before` is called
/// with the number of each.
pub(crate) async fn run(
    channels: &[Channel],
    over: &'static str,
    calls: u64,
    at_once: usize,
    before: impl Fn(u64) + Clone + Send + 'static,
) -> Result<Figures> {
    ensure!(!channels.is_empty(), "no channel to call on");
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let channel = channels[worker % channels.len()].clone();
        let (next, before) = (Arc::clone(&next), before.clone());
        workers.spawn(async move {
            let (mut times, mut failed) = (Vec::new(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return anyhow::Ok((times, failed));
                }
                before(number);
                let began = Instant::now();
                match client::unary(channel.clone(), number, over).await? {
                    Ok(time) => times.push(time),
                    Err(_status) => failed.push(began),
                }
            }
        });
    }
    let mut figures = Figures {
        calls,
        failed: 0,
        last_failed: None,
        time: Duration::ZERO,
        latency: Histogram::new(3)?,
    };
    while let Some(worker) = workers.join_next().await {
        let (times, failed) = worker??;
        figures.failed += failed.len() as u64;
        figures.last_failed = figures.last_failed.max(failed.into_iter().max());
        for time in times {
            figures.latency.record(u64::try_from(time.as_nanos())?)?;
        }
    }
    figures.time = start.elapsed();
    Ok(figures)
}
