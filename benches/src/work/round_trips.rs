//! A message there and back, again and again, on streams that stay open.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::{Figures, MESSAGE};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

pub(super) async fn run<M: Mux>(
    ends: &Ends<M>,
    streams: usize,
    phases: [Duration; 2],
) -> Result<Figures> {
    // It ends with the process.
    drop(ends.server.spawn(echo_all(ends.server.clone())));
    let client = ends.client.clone();
    let opened = ends.client.spawn(async move {
        let mut opened = Vec::with_capacity(streams);
        for _ in 0..streams {
            opened.push(client.mux.open().await?);
        }
        Ok(opened)
    });
    let mut opened = opened.await?;

    let mut figures = None;
    for time in phases {
        let start = Instant::now();
        let asking: Vec<_> = opened
            .drain(..)
            .map(|stream| ends.client.spawn(ask_until(stream, start + time)))
            .collect();
        let mut times = Histogram::<u64>::new(3)?;
        for task in asking {
            let (stream, taken) = task.await.context("asking")?;
            opened.push(stream);
            times.add(taken)?;
        }
        figures = Some(summary(&times, start.elapsed()));
    }
    figures.context("no phase")
}

/// `times` in nanoseconds.
pub(crate) fn summary(times: &Histogram<u64>, taken: Duration) -> Figures {
    let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Figures::thousands(times.len(), taken)
        .with("p50 µs", micros(0.5))
        .with("p99 µs", micros(0.99))
}

async fn ask_until<S: Stream>(mut stream: S, deadline: Instant) -> Result<(S, Histogram<u64>)> {
    let mut times = Histogram::new(3)?;
    let mut message = [0x5a; MESSAGE];
    let mut asked = Instant::now();
    while asked < deadline {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        let answered = Instant::now();
        times.record(u64::try_from((answered - asked).as_nanos())?)?;
        asked = answered;
    }
    Ok((stream, times))
}

async fn echo_all<M: Mux>(end: End<M>) -> Result<()> {
    loop {
        let mut stream = end.mux.accept().await?;
        drop(end.spawn(async move {
            let mut message = [0; MESSAGE];
            loop {
                stream.read_exact(&mut message).await?;
                stream.write_all(&message).await?;
            }
            #[expect(unreachable_code, reason = "names the type of the task's result")]
            Ok(())
        }));
    }
}
