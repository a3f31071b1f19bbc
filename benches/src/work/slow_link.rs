//! Round trips over a slow link, alone and beside downloads that fill it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{
    Figures, MESSAGE,
    download::{self, Progress},
    requests,
    sampled::sleep,
};
use crate::{
    ends::Ends,
    mux::{Mux, Stream},
    relay::Link,
};

pub(super) const LINK: Link = Link {
    round_trip: Duration::from_millis(23),
    rate: 2_000_000,
    queue: Some(64 << 10),
};
const DOWNLOADS: usize = 8;
/// With the one that is asked and answered.
pub(super) const STREAMS: usize = DOWNLOADS + 1;
/// How long the downloads get to fill all queues.
const SETTLE: Duration = Duration::from_secs(2);

/// The median of the round trips beside the downloads, in terms of that without.
pub(super) async fn run<M: Mux>(ends: &Ends<M>, time: Duration) -> Result<Figures> {
    // They end with the process.
    drop(ends.server.spawn(requests::answer_all(ends.server.clone())));
    let client = ends.client.clone();
    let asking = ends.client.spawn(async move {
        let mut stream = client.mux.open().await?;
        let times = ask_for(&mut stream, time).await?;
        Ok((stream, times))
    });
    let (mut stream, alone) = asking.await?;

    let progress = Arc::new(Progress::start(Duration::ZERO));
    for _ in 0..DOWNLOADS {
        let (client, progress) = (ends.client.clone(), Arc::clone(&progress));
        drop(ends.client.spawn(async move {
            let mut stream = client.mux.open().await?;
            download::run(&mut stream, 1, requests::ENDLESS, None, &progress).await
        }));
    }
    sleep(SETTLE);
    let (start, before) = (Instant::now(), progress.total());
    let asking = ends
        .client
        .spawn(async move { ask_for(&mut stream, time).await });
    let beside = asking.await?;
    let bytes = progress.total() - before;
    let rate = bytes as f64 / start.elapsed().as_secs_f64();

    let millis = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1e6;
    Ok(Figures {
        rate: millis(&beside, 0.5) / millis(&alone, 0.5),
        ..Figures::default()
    }
    .with("idle p50 ms", millis(&alone, 0.5))
    .with("idle p99 ms", millis(&alone, 0.99))
    .with("p50 ms", millis(&beside, 0.5))
    .with("p99 ms", millis(&beside, 0.99))
    .with("of the link", rate / f64::from(LINK.rate)))
}

/// Times of round trips in nanoseconds.
async fn ask_for<S: Stream>(stream: &mut S, time: Duration) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let mut answer = [0; MESSAGE];
    let start = Instant::now();
    let mut asked = start;
    while asked - start < time {
        requests::ask(stream, 1, MESSAGE as u64).await?;
        stream.read_exact(&mut answer).await?;
        let answered = Instant::now();
        times.record(u64::try_from((answered - asked).as_nanos())?)?;
        asked = answered;
    }
    Ok(times)
}
