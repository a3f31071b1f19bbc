//! Runs peers in turns and prints what came out, at once or later from what was saved.

mod chart;
mod child;
mod picture;
mod ramp;
mod record;
mod table;

pub(crate) use self::{
    chart::{Chart, run as chart},
    child::finish,
    ramp::{Ramp, run as ramp},
    table::Spread,
};

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    child::Runner,
    record::{Outcome, Record, Turn, Writer},
    table::Table,
};
use crate::{
    cli::{Compare, Selection},
    peers::{self, Peer},
    runtime::Shape,
    work::{WORKLOADS, Workload},
};

pub(crate) fn run(options: &Compare) -> Result<()> {
    if options.list {
        list();
        return Ok(());
    }
    let (workloads, peers) = options.selection.check()?;
    let mut output = Output::create(options.output.as_deref())?;
    let mut saved = options.save.as_deref().map(Writer::append_to).transpose()?;
    let runner = Runner::new(&peers);
    let first = Turn::first()?;
    for workload in workloads {
        for &shape in &options.runtimes {
            let mut table = Table::new(workload, shape, &peers);
            for run in 0..options.runs() {
                let mut order: Vec<_> = peers.clone();
                // No peer always runs after the same other one.
                fastrand::shuffle(&mut order);
                for peer in order {
                    eprint!("\r\x1b[K{} run {} {}", workload.name, run + 1, peer.name);
                    let record = Record {
                        workload: workload.name.to_owned(),
                        shape,
                        peer: peer.name.to_owned(),
                        turn: Turn { run, ..first },
                        seconds: options.time().as_secs_f64(),
                        outcome: outcome(&runner, peer, workload, shape, options),
                    };
                    table.add(&record);
                    if let Some(saved) = &mut saved {
                        saved.write(&record).context("--save")?;
                    }
                }
            }
            eprint!("\r\x1b[K");
            output.print(&table)?;
        }
    }
    Ok(())
}

fn outcome(
    runner: &Runner,
    peer: &Peer,
    workload: &Workload,
    shape: Shape,
    options: &Compare,
) -> Outcome {
    if let Some(reason) = peer.skip(workload.work, shape) {
        return Outcome::Skipped(reason.to_owned());
    }
    match runner.run(peer, workload, shape, options.time()) {
        Ok(figures) => Outcome::Figures(figures),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

#[derive(Args)]
pub(crate) struct Show {
    /// What comparisons saved.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Also write the tables to this file, in Markdown.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The tables of saved runs.
pub(crate) fn show(options: &Show) -> Result<()> {
    let records = record::read(&options.files)?;
    let (workloads, peers) = options.selection.check()?;
    let mut output = Output::create(options.output.as_deref())?;
    for workload in workloads {
        for shape in [Shape::Two, Shape::One] {
            let table = Table::of(workload, shape, &peers, &records);
            if !table.is_empty() {
                output.print(&table)?;
            }
        }
    }
    Ok(())
}

/// Where tables go: to the terminal, and to a file if there is one.
struct Output(Option<File>);

impl Output {
    fn create(path: Option<&Path>) -> Result<Self> {
        Ok(Self(
            path.map(File::create).transpose().context("--output")?,
        ))
    }

    fn print(&mut self, table: &Table) -> Result<()> {
        println!("{}", table.text());
        if let Some(file) = &mut self.0 {
            writeln!(file, "{}", table.markdown())?;
        }
        Ok(())
    }
}

impl Selection {
    /// What was chosen, which must be something.
    fn check(&self) -> Result<(Vec<&'static Workload>, Vec<&'static Peer>)> {
        let (workloads, peers) = (self.workloads(), self.peers());
        ensure!(!workloads.is_empty(), "no such workload; see --list");
        ensure!(
            self.peer.is_empty() || peers.len() > 1,
            "no such peer; see --list"
        );
        Ok((workloads, peers))
    }
}

fn list() {
    println!("workloads:");
    for workload in WORKLOADS {
        println!("  {:14} {}", workload.name, workload.about);
    }
    println!("peers:");
    for peer in peers::PEERS {
        println!("  {:14} {}", peer.name, peer.settings);
    }
}
