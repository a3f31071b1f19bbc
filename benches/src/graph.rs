//! Throughput over time with a reader that pauses, as a table and as a picture.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use clap::Args;
use plotters::prelude::*;

use crate::{
    ends::Ends,
    mux::{Mux, Options},
    peers::{SmuxTokio, TokioTcp},
    relay::{self, Link, Meter},
    runtime::{Runtime, Shape, Tokio},
    series::{Series, table},
    work::pausing,
};

/// What a receive buffer can smooth: pauses on a link that is slow enough for it not to be full at
/// once.
const LINK: Link = Link {
    round_trip: Duration::from_millis(10),
    rate: 25_000_000,
    queue: None,
};
const SMALL: usize = 256 << 10;
const LARGE: usize = 4 << 20;
const BUCKET: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct Graph {
    /// Writes FILE.csv and FILE.svg.
    #[arg(long, value_name = "FILE", default_value = "bandwidth")]
    output: PathBuf,
    /// Seconds to draw.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

pub(crate) fn run(options: &Graph) -> Result<()> {
    let time = Duration::from_secs_f64(options.seconds);
    let mut all = vec![trace::<TokioTcp>("tcp-tokio".to_owned(), SMALL, time)?];
    for (buffer, size) in [(SMALL, "256 KiB"), (LARGE, "4 MiB")] {
        all.push(trace::<SmuxTokio<1>>(
            format!("smux-tokio-v1, {size}"),
            buffer,
            time,
        )?);
        all.push(trace::<SmuxTokio<2>>(
            format!("smux-tokio-v2, {size}"),
            buffer,
            time,
        )?);
    }
    let csv = options.output.with_extension("csv");
    fs::write(&csv, table(&all))?;
    let svg = options.output.with_extension("svg");
    draw(&svg, &all, options.seconds).map_err(|error| anyhow!("drawing: {error}"))?;
    println!("wrote {} and {}", csv.display(), svg.display());
    Ok(())
}

/// What passes the link while the reader pauses again and again.
fn trace<M: Mux<Runtime = Tokio>>(
    name: String,
    receive_buffer: usize,
    time: Duration,
) -> Result<Series> {
    let (meter, passed) = mpsc::channel();
    let runtimes = Tokio::pair(Shape::Two)?;
    let options = Options {
        streams: 1,
        receive_buffer: Some(receive_buffer),
    };
    let start = runtimes.0.clone().block_on(async {
        let route = |to| relay::start(LINK, to, Some(Meter(meter)));
        let ends = Ends::<M>::connect(runtimes, options, route).await?;
        pausing::start(&ends);
        anyhow::Ok(Instant::now())
    })?;
    let buckets = usize::try_from(time.as_nanos() / BUCKET.as_nanos())?;
    let mut bytes = vec![0; buckets];
    while let Ok((at, count)) = passed.recv() {
        let since = at.saturating_duration_since(start);
        match bytes.get_mut((since.as_nanos() / BUCKET.as_nanos()) as usize) {
            Some(bucket) => *bucket += count,
            None => break,
        }
    }
    let width = BUCKET.as_secs_f64();
    let point = |(index, bytes)| (index as f64 * width, bytes as f64 / 1e6 / width);
    Ok(Series {
        name,
        points: bytes.into_iter().enumerate().map(point).collect(),
    })
}

/// A chart for each series, one below the other.
fn draw(path: &Path, all: &[Series], seconds: f64) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (900, 180 * u32::try_from(all.len())?)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = all
        .iter()
        .flat_map(|series| &series.points)
        .map(|(_, rate)| *rate);
    let most = most.fold(1.0, f64::max);
    for (area, series) in root.split_evenly((all.len(), 1)).iter().zip(all) {
        let mut chart = ChartBuilder::on(area)
            .caption(&series.name, ("sans-serif", 16))
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..seconds, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_labels(4)
            .x_desc("s")
            .y_desc("MB/s")
            .draw()?;
        chart.draw_series(LineSeries::new(series.points.iter().copied(), &BLUE))?;
    }
    root.present()?;
    Ok(())
}
