//! Saved runs at a glance: a picture, and a small table in Markdown, as ratios to raw TCP.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::presets;

use super::{
    picture::{self, Bar, Kind, Panel},
    record,
    table::{Spread, Table, align_right, number},
};
use crate::{
    cli::Selection,
    peers::{BASELINE, Peer},
    runtime::Shape,
};

/// Unless others are asked for.
const WORKLOADS: [&str; 6] = [
    "bulk-1",
    "bulk-100",
    "msg-100",
    "rtt-1",
    "rtt-100",
    "exchange-64",
];

/// The shape that goes without saying.
const USUAL: Shape = Shape::Two;

#[derive(Args)]
pub(crate) struct Chart {
    /// What comparisons saved.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// How the two ends shared threads. A table for each of which there are runs.
    #[arg(long, value_enum, value_name = "SHAPE", default_values = ["two", "one"])]
    runtimes: Vec<Shape>,
    /// Where to draw.
    #[arg(long, value_name = "FILE", default_value = "comparison.svg")]
    output: PathBuf,
}

pub(crate) fn run(options: &Chart) -> Result<()> {
    let records = record::read(&options.files)?;
    let (mut workloads, peers) = options.selection.check()?;
    if options.selection.workload.is_empty() {
        workloads.retain(|workload| WORKLOADS.contains(&workload.name));
    }
    let tables = options.runtimes.iter().map(|&shape| {
        let tables = workloads
            .iter()
            .map(|workload| Table::of(workload, shape, &peers, &records));
        let tables = tables.filter(|table| table.baseline().is_some());
        (shape, tables.collect())
    });
    let mut tables: Vec<(Shape, Vec<Table>)> = tables.collect();
    tables.retain(|(_, tables)| !tables.is_empty());
    ensure!(
        !tables.is_empty(),
        "none of the runs can be compared with {BASELINE}"
    );

    let all = || tables.iter().flat_map(|(_, tables)| tables);
    let panels: Vec<_> = all().map(panel).collect();
    fs::write(&options.output, picture::draw(&panels)).context("--output")?;
    let summaries = tables
        .iter()
        .map(|(shape, tables)| summary(*shape, tables, &peers).to_string());
    println!("{}", summaries.collect::<Vec<_>>().join("\n\n"));
    for table in all() {
        for note in table.notes().lines() {
            println!("\n{}: {note}", table.workload().name);
        }
    }
    Ok(())
}

fn panel(table: &Table) -> Panel {
    let bar = |(peer, ratio): (&Peer, Option<Spread>)| {
        Some(Bar {
            name: peer.name,
            kind: kind(peer),
            ratio: ratio?,
        })
    };
    let others = table.ratios().filter(|(peer, _)| peer.name != BASELINE);
    Panel {
        title: match table.shape() {
            USUAL => table.workload().name.to_owned(),
            shape => format!("{}, {}", table.workload().name, shape.describe()),
        },
        about: table.workload().about,
        bars: others.filter_map(bar).collect(),
    }
}

fn kind(peer: &Peer) -> Kind {
    match peer.name {
        // Another crate, whose name is just that.
        "smux" => Kind::Other,
        ours if ours.starts_with("smux-") => Kind::Ours,
        "limit" | "tcp-std" => Kind::Yardstick,
        _ => Kind::Other,
    }
}

/// A row for each peer, a column for each workload; the baseline's row has what the ratios stand
/// for.
fn summary(shape: Shape, tables: &[Table], peers: &[&'static Peer]) -> comfy_table::Table {
    let mut summary = comfy_table::Table::new();
    let title = match shape {
        USUAL => "× raw TCP".to_owned(),
        shape => format!("× raw TCP, {}", shape.describe()),
    };
    let names = tables.iter().map(|table| table.workload().name.to_owned());
    summary
        .load_preset(presets::ASCII_MARKDOWN)
        .set_header([title].into_iter().chain(names));
    let baseline = tables.iter().map(|table| match table.baseline() {
        Some(rate) => format!("{} {}", number(rate.median), table.workload().work.unit()),
        None => "–".to_owned(),
    });
    summary.add_row(
        [format!("raw TCP ({BASELINE})")]
            .into_iter()
            .chain(baseline),
    );
    for peer in peers.iter().filter(|peer| peer.name != BASELINE) {
        let ratios: Vec<_> = tables.iter().map(|table| ratio(table, peer)).collect();
        if ratios.iter().any(Option::is_some) {
            let cells = ratios.into_iter().map(|ratio| {
                let [median, _] = Spread::cells(ratio);
                median
            });
            summary.add_row([peer.name.to_owned()].into_iter().chain(cells));
        }
    }
    align_right(&mut summary);
    summary
}

fn ratio(table: &Table, peer: &Peer) -> Option<Spread> {
    let mut ratios = table.ratios();
    ratios.find(|(other, _)| other.name == peer.name)?.1
}
