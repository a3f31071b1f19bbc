//! Pairs of sessions, each with a stream that is open: what they hold, and what they cost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{
    Figures, KIB, MESSAGE, requests,
    sampled::sleep,
    usage::{processor_time, resident},
};
use crate::{
    ends::Ends,
    mux::{Mux, Options, Stream},
};

/// Pairs that work at a time.
const AT_A_TIME: usize = 16;
/// What passes through each pair.
const TRAFFIC: u64 = 4_000_000;
const READ: usize = 64 * KIB;
/// Between the traffic and the second look.
const REST: Duration = Duration::from_secs(1);
/// The usual interval of keep-alives. Their cost is seen in whole intervals.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Resident bytes of a pair a second after traffic; and before it, and at once after it. And those
/// of the process a second after all pairs are closed, as a ratio to those before.
///
/// A few pairs are there before, so that whatever is allocated once does not count. They carry
/// nothing, so that buffers which sessions share do.
pub(super) async fn run<M: Mux>(
    first: &Ends<M>,
    options: Options,
    pairs: usize,
    time: Duration,
) -> Result<Figures> {
    let warm = establish(first, options, AT_A_TIME).await?;
    let empty = resident()?;
    let each = |bytes: f64| (bytes - empty) / pairs as f64;

    let start = Instant::now();
    let held = establish(first, options, pairs).await?;
    let taken = start.elapsed();
    sleep(REST);
    let fresh = each(resident()?);
    let held = carry(held).await?;
    let after = each(resident()?);
    sleep(REST);
    let rested = each(resident()?);

    let intervals = if time < Duration::from_secs(2) { 1 } else { 2 };
    let (start, before) = (Instant::now(), processor_time()?);
    sleep(intervals * KEEP_ALIVE);
    let used = (processor_time()? - before).div_duration_f64(start.elapsed());
    let sessions = 2 * (pairs + AT_A_TIME);
    drop(held);
    sleep(REST);
    let closed = resident()? / empty;
    drop(warm);
    Ok(Figures {
        rate: rested,
        ..Figures::default()
    }
    .with("B fresh", fresh)
    .with("B after traffic", after)
    .with("CPU µs a session and minute", 60e6 * used / sessions as f64)
    .with("pairs a second", pairs as f64 / taken.as_secs_f64())
    .with("closed ÷ before", closed))
}

/// A pair, and the stream that its client has opened.
struct Pair<M: Mux> {
    ends: Ends<M>,
    stream: M::Stream,
}

/// Makes so many pairs, each of which has answered a message.
async fn establish<M: Mux>(
    first: &Ends<M>,
    options: Options,
    pairs: usize,
) -> Result<Vec<Vec<Pair<M>>>> {
    let tasks: Vec<_> = (0..AT_A_TIME)
        .map(|task| {
            let count = pairs / AT_A_TIME + usize::from(task < pairs % AT_A_TIME);
            let runtimes = (first.client.runtime.clone(), first.server.runtime.clone());
            first.client.spawn(async move {
                let mut pairs = Vec::with_capacity(count);
                for _ in 0..count {
                    pairs.push(pair(runtimes.clone(), options).await?);
                }
                Ok(pairs)
            })
        })
        .collect();
    let mut all = Vec::with_capacity(AT_A_TIME);
    for task in tasks {
        all.push(task.await.context("establishing")?);
    }
    Ok(all)
}

async fn pair<M: Mux>(runtimes: (M::Runtime, M::Runtime), options: Options) -> Result<Pair<M>> {
    let ends = Ends::<M>::connect(runtimes, options, Ok).await?;
    drop(ends.server.spawn(requests::answer_all(ends.server.clone())));
    let mut stream = ends.client.mux.open().await?;
    requests::ask(&mut stream, 1, MESSAGE as u64).await?;
    stream.read_exact(&mut [0; MESSAGE]).await?;
    Ok(Pair { ends, stream })
}

/// Has every pair carry [`TRAFFIC`], a few at a time.
async fn carry<M: Mux>(all: Vec<Vec<Pair<M>>>) -> Result<Vec<Vec<Pair<M>>>> {
    let tasks: Vec<_> = all
        .into_iter()
        .filter(|pairs| !pairs.is_empty())
        .map(|mut pairs| {
            let client = pairs[0].ends.client.clone();
            client.spawn(async move {
                let mut buf = vec![0; READ];
                for pair in &mut pairs {
                    read(&mut pair.stream, &mut buf).await?;
                }
                Ok(pairs)
            })
        })
        .collect();
    let mut all = Vec::with_capacity(tasks.len());
    for task in tasks {
        all.push(task.await.context("carrying")?);
    }
    Ok(all)
}

async fn read<S: Stream>(stream: &mut S, buf: &mut [u8]) -> Result<()> {
    requests::ask(stream, 1, TRAFFIC).await?;
    let mut left = TRAFFIC;
    while left > 0 {
        let n = stream.read(buf).await? as u64;
        ensure!(n > 0, "a stream ended early");
        left = left.saturating_sub(n);
    }
    Ok(())
}
