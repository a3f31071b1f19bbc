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

use crate::client::{Answer, Pool};

pub(crate) struct Figures {
    pub requests: u64,
    pub time: Duration,
    /// From sending a request to having read its answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// Makes this many requests, all of which must be answered.
pub(crate) async fn run(pool: Pool, concurrency: u32, requests: u64) -> Result<Figures> {
    let start = Instant::now();
    let times = work(pool, concurrency, requests, |_| {}).await?;
    let time = start.elapsed();
    let answered = times.len();
    ensure!(
        answered as u64 == requests,
        "of {requests} requests only {answered} were answered"
    );
    let mut latency = Histogram::new(3)?;
    for time in times {
        latency.record(u64::try_from(time.as_nanos())?)?;
    }
    Ok(Figures {
        requests,
        time,
        latency,
    })
}

/// Makes requests until the server takes no more, and returns how many were answered. `stop` is
/// called just before the request with the number `stop_at`.
pub(crate) async fn run_until_refused(
    pool: Pool,
    concurrency: u32,
    stop_at: u64,
    stop: impl Fn() + Clone + Send + 'static,
) -> Result<u64> {
    let before = move |number| {
        if number == stop_at {
            stop();
        }
    };
    let times = work(pool, concurrency, u64::MAX, before).await?;
    Ok(times.len() as u64)
}

/// Makes requests, so many at once, until it were enough or the pool makes no more. Returns what
/// each answer took.
async fn work(
    pool: Pool,
    concurrency: u32,
    requests: u64,
    before: impl Fn(u64) + Clone + Send + 'static,
) -> Result<Vec<Duration>> {
    let (pool, next) = (Arc::new(pool), Arc::new(AtomicU64::new(0)));
    let worker = || {
        let (pool, next, before) = (Arc::clone(&pool), Arc::clone(&next), before.clone());
        async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return Ok(times);
                }
                before(number);
                match pool.request(number).await? {
                    Answer::Checked(time) => times.push(time),
                    Answer::None => return Ok(times),
                }
            }
        }
    };
    let mut workers: JoinSet<Result<Vec<Duration>>> = (0..concurrency).map(|_| worker()).collect();
    let mut times = Vec::new();
    while let Some(worker) = workers.join_next().await {
        times.append(&mut worker??);
    }
    Ok(times)
}
