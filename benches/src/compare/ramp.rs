//! How downloads of saved runs got up to speed, as a table and as a picture.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use plotters::prelude::*;

use super::{
    record::{self, Outcome, Record},
    table::Spread,
};
use crate::{
    peers::{self, Peer},
    series::{Series, table},
    work::{self, Workload},
};

/// Unless others are asked for.
const PEERS: [&str; 6] = [
    "smux-tokio-v2",
    "yamux",
    "h2",
    "h2-16m",
    "go-smux-v2",
    "go-smux-v2-16m",
];
const BUCKET: f64 = 0.1;

#[derive(Args)]
pub(crate) struct Ramp {
    /// What comparisons saved.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A workload that keeps what arrived when.
    #[arg(long, value_name = "NAME", default_value = "long-100")]
    workload: String,
    /// A line for this peer. May be repeated.
    #[arg(long, value_name = "NAME", default_values = PEERS)]
    peer: Vec<String>,
    /// Writes FILE.csv and FILE.svg.
    #[arg(long, value_name = "FILE", default_value = "ramp")]
    output: PathBuf,
    /// Seconds to draw.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

pub(crate) fn run(options: &Ramp) -> Result<()> {
    let records = record::read(&options.files)?;
    let workload = work::find(&options.workload).context("no such workload")?;
    let peers = options.peer.iter().map(|name| {
        let peer = peers::find(name).with_context(|| format!("no such peer: {name}"))?;
        Ok(series(workload, peer, &records, options.seconds))
    });
    let mut all = peers.collect::<Result<Vec<_>>>()?;
    all.retain(|series| !series.points.is_empty());
    ensure!(!all.is_empty(), "none of the runs kept what arrived when");
    let csv = options.output.with_extension("csv");
    fs::write(&csv, table(&all))?;
    let svg = options.output.with_extension("svg");
    draw(&svg, workload, &all, options.seconds).map_err(|error| anyhow!("drawing: {error}"))?;
    println!("wrote {} and {}", csv.display(), svg.display());
    Ok(())
}

/// The median of the runs, tenth by tenth of a second, until the last has ended.
fn series(workload: &Workload, peer: &Peer, records: &[Record], seconds: f64) -> Series {
    let runs: Vec<_> = records
        .iter()
        .filter(|record| record.workload == workload.name && record.peer == peer.name)
        .filter_map(|record| match &record.outcome {
            Outcome::Figures(figures) => Some(&figures.over_time),
            Outcome::Failed(_) | Outcome::Skipped(_) => None,
        })
        .collect();
    let longest = runs.iter().map(|rates| rates.len()).max().unwrap_or(0);
    let points = (0..longest).filter_map(|bucket| {
        let rates = runs.iter().map(|rates| rates.get(bucket).copied());
        let spread = Spread::of(rates.map(|rate| rate.unwrap_or(0.0)))?;
        Some((bucket as f64 * BUCKET, spread.median))
    });
    Series {
        name: peer.name.to_owned(),
        points: points.take_while(|(at, _)| *at < seconds).collect(),
    }
}

/// All lines in one chart.
fn draw(
    path: &Path,
    workload: &Workload,
    all: &[Series],
    seconds: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let rates = all.iter().flat_map(|series| &series.points);
    let most = rates.map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(workload.about, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..seconds, 0.0..1.05 * most)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("s")
        .y_desc("MB/s")
        .draw()?;
    for (index, series) in all.iter().enumerate() {
        let style = Palette99::pick(index).stroke_width(2);
        chart
            .draw_series(LineSeries::new(series.points.iter().copied(), style))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
