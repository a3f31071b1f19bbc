//! One download over a long link, and how long it takes beside what the link would.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::{
    Figures, GIGABIT,
    download::{self, Progress},
    requests,
};
use crate::{ends::Ends, mux::Mux};

/// Of a run of [`USUAL`]; less in a shorter one.
const BYTES: u64 = 500_000_000;
const USUAL: Duration = Duration::from_secs(3);
/// So many times what the link would take; what has arrived by then is what counts.
const PATIENCE: u32 = 3;

/// The share of the link: what it would take for as many bytes and one round trip, of what they
/// took.
pub(super) async fn run<M: Mux>(
    ends: &Ends<M>,
    round_trip: Duration,
    streams: usize,
    writers: u8,
    time: Duration,
) -> Result<Figures> {
    // It ends with the process.
    drop(ends.server.spawn(requests::answer_all(ends.server.clone())));
    let millis = u64::try_from(time.min(USUAL).as_millis())?;
    let each = BYTES * millis / 1000 / USUAL.as_secs() / streams as u64;
    // So that all writers have as much.
    let each = each / u64::from(writers) * u64::from(writers);
    let link = |bytes: u64| Duration::from_secs_f64(bytes as f64 / f64::from(GIGABIT)) + round_trip;
    let longest = PATIENCE * link(each * streams as u64);

    let progress = Arc::new(Progress::start(longest));
    let start = progress.start_of();
    let downloads: Vec<_> = (0..streams)
        .map(|_| {
            let (client, progress) = (ends.client.clone(), Arc::clone(&progress));
            ends.client.spawn(async move {
                let mut stream = client.mux.open().await?;
                let deadline = Some(start + longest);
                download::run(&mut stream, writers, each, deadline, &progress).await
            })
        })
        .collect();
    let mut end = start;
    for download in downloads {
        end = end.max(download.await?);
    }
    let taken = end - start;
    let mut figures = Figures::megabytes(progress.total(), taken);
    let rate = figures.rate;
    figures.rate = link(progress.total()).div_duration_f64(taken);
    figures.over_time = progress.over_time();
    Ok(figures.with("MB/s", rate))
}
