//! Streams that write without end; what counts is what their readers get within a given time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Figures, KIB};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

/// How long buffers get to fill before anything counts.
const SETTLE: Duration = Duration::from_millis(300);

/// What happens on one stream.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Bytes of each write.
    pub(super) write: usize,
    /// Whether anybody reads.
    pub(super) read: bool,
}

pub(super) async fn stalled<M: Mux>(ends: &Ends<M>, time: Duration) -> Result<Figures> {
    let healthy = Plan {
        write: 128 * KIB,
        read: true,
    };
    let stalled = Plan {
        read: false,
        ..healthy
    };
    let rates = rates(ends, &[stalled, healthy], time).await?;
    Ok(Figures {
        rate: rates[1],
        ..Figures::default()
    })
}

pub(super) async fn fairness<M: Mux>(ends: &Ends<M>, time: Duration) -> Result<Figures> {
    let mut plans = [Plan {
        write: 512,
        read: true,
    }; 10];
    plans[0].write = 64 * KIB;
    let rates = rates(ends, &plans, time).await?;
    let sum: f64 = rates.iter().sum();
    ensure!(sum > 0.0, "nothing arrived");
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    let jain = sum * sum / (rates.len() as f64 * squares);
    Ok(Figures {
        rate: jain,
        ..Figures::default()
    }
    .with("MB/s", sum))
}

pub(super) async fn total<M: Mux>(
    ends: &Ends<M>,
    streams: usize,
    time: Duration,
) -> Result<Figures> {
    let plans = vec![
        Plan {
            write: 128 * KIB,
            read: true
        };
        streams
    ];
    let rates = rates(ends, &plans, time).await?;
    Ok(Figures {
        rate: rates.iter().sum(),
        ..Figures::default()
    })
}

/// Megabytes a second, by stream.
async fn rates<M: Mux>(ends: &Ends<M>, plans: &[Plan], time: Duration) -> Result<Vec<f64>> {
    let counters: Arc<[AtomicU64]> = plans.iter().map(|_| AtomicU64::new(0)).collect();
    // All tasks end with the process: some never can otherwise.
    drop(ends.server.spawn(read_all(
        ends.server.clone(),
        plans.into(),
        Arc::clone(&counters),
    )));
    for (index, plan) in plans.iter().enumerate() {
        let (client, tag, size) = (ends.client.clone(), u8::try_from(index)?, plan.write);
        drop(ends.client.spawn(async move {
            let stream = client.mux.open().await?;
            write_for_ever(stream, tag, size).await
        }));
    }
    sleep(SETTLE + time / 5);
    let sample = || {
        counters
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
    };
    let start = Instant::now();
    let before: Vec<_> = sample().collect();
    sleep(time);
    let taken = start.elapsed().as_secs_f64();
    Ok(sample()
        .zip(before)
        .map(|(after, before)| (after - before) as f64 / 1e6 / taken)
        .collect())
}

/// Blocks a thread that only watches: no task runs on it.
#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for is time itself"
)]
pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}

async fn write_for_ever<S: Stream>(mut stream: S, tag: u8, size: usize) -> Result<()> {
    stream.write_all(&[tag]).await?;
    let data = vec![0x5a; size];
    loop {
        stream.write_all(&data).await?;
    }
}

async fn read_all<M: Mux>(
    end: End<M>,
    plans: Arc<[Plan]>,
    counters: Arc<[AtomicU64]>,
) -> Result<()> {
    let mut unread = Vec::new();
    loop {
        let mut stream = end.mux.accept().await?;
        // The first byte tells whose stream it is.
        let mut tag = [0];
        stream.read_exact(&mut tag).await?;
        let index = usize::from(tag[0]);
        if !plans.get(index).context("no such stream")?.read {
            unread.push(stream);
            continue;
        }
        let counters = Arc::clone(&counters);
        drop(end.spawn(async move {
            let mut buf = vec![0; 64 * KIB];
            loop {
                let n = stream.read(&mut buf).await?;
                if n == 0 {
                    return Ok(());
                }
                counters[index].fetch_add(n as u64, Ordering::Relaxed);
            }
        }));
    }
}
