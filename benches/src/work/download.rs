//! A stream that is read as fast as it goes, and what arrives when.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{KIB, requests};
use crate::mux::Stream;

const READ: usize = 64 * KIB;
/// What arrives is counted for each of these.
const BUCKET: Duration = Duration::from_millis(100);

/// Counts what arrives.
pub(super) struct Progress {
    start: Instant,
    total: AtomicU64,
    /// What arrived later is in the total alone.
    buckets: Vec<AtomicU64>,
}

impl Progress {
    /// Begins now, and keeps what arrives in each tenth of the seconds `watched`.
    pub(super) fn start(watched: Duration) -> Self {
        let buckets = watched.as_nanos() / BUCKET.as_nanos();
        Self {
            start: Instant::now(),
            total: AtomicU64::new(0),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn add(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        let bucket = ((now - self.start).as_nanos() / BUCKET.as_nanos()) as usize;
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.total.fetch_add(bytes as u64, Ordering::Relaxed);
        now
    }

    pub(super) fn start_of(&self) -> Instant {
        self.start
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Megabytes a second, up to the last that arrived.
    pub(super) fn over_time(&self) -> Vec<f64> {
        let rate = |bytes: u64| bytes as f64 / 1e6 / BUCKET.as_secs_f64();
        let buckets = self.buckets.iter();
        let mut rates: Vec<_> = buckets
            .map(|bytes| (10.0 * rate(bytes.load(Ordering::Relaxed))).round() / 10.0)
            .collect();
        while rates.pop_if(|rate| *rate == 0.0).is_some() {}
        rates
    }
}

/// Asks for `bytes` and reads them, until `deadline` if they take longer. Returns when the last of
/// them arrived.
pub(super) async fn run<S: Stream>(
    stream: &mut S,
    writers: u8,
    bytes: u64,
    deadline: Option<Instant>,
    progress: &Progress,
) -> Result<Instant> {
    requests::ask(stream, writers, bytes).await?;
    let mut buf = vec![0; READ];
    let mut left = bytes;
    loop {
        let n = stream.read(&mut buf).await?;
        ensure!(n > 0, "a download ended {left} bytes early");
        let now = progress.add(n);
        left = left.saturating_sub(n as u64);
        if left == 0 || deadline.is_some_and(|deadline| now > deadline) {
            return Ok(now);
        }
    }
}
