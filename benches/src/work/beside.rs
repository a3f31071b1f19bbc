//! A download beside streams that are open and do nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    Figures, GIGABIT,
    download::{self, Progress},
    requests,
    sampled::sleep,
};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

/// The round trip.
pub(super) const MILLISECONDS: u64 = 50;
/// When the measurement begins, after the download.
const RAMP: Duration = Duration::from_secs(3);
/// Streams opened at a time: each waits for its round trip.
const AT_A_TIME: usize = 250;

/// The share of the link within `time` after [`RAMP`].
pub(super) async fn run<M: Mux>(ends: &Ends<M>, idle: usize, time: Duration) -> Result<Figures> {
    // It ends with the process, and so does the download.
    drop(ends.server.spawn(requests::answer_all(ends.server.clone())));
    let tasks = AT_A_TIME.min(idle);
    let opening: Vec<_> = (0..tasks)
        .map(|task| {
            let count = idle / tasks + usize::from(task < idle % tasks);
            ends.client.spawn(open(ends.client.clone(), count))
        })
        .collect();
    let mut held = Vec::with_capacity(tasks);
    for streams in opening {
        held.push(streams.await.context("opening idle streams")?);
    }

    let progress = Arc::new(Progress::start(RAMP));
    let (client, counted) = (ends.client.clone(), Arc::clone(&progress));
    drop(ends.client.spawn(async move {
        let mut stream = client.mux.open().await?;
        download::run(&mut stream, 1, requests::ENDLESS, None, &counted).await
    }));
    sleep(RAMP);
    let (start, before) = (Instant::now(), progress.total());
    sleep(time);
    let rate = (progress.total() - before) as f64 / start.elapsed().as_secs_f64();
    drop(held);
    let mut figures = Figures {
        rate: rate / f64::from(GIGABIT),
        ..Figures::default()
    };
    figures.over_time = progress.over_time();
    Ok(figures)
}

/// `count` streams that have carried a byte.
async fn open<M: Mux>(client: End<M>, count: usize) -> Result<Vec<M::Stream>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = client.mux.open().await?;
        requests::ask(&mut stream, 1, 1).await?;
        stream.read_exact(&mut [0]).await?;
        held.push(stream);
    }
    Ok(held)
}
