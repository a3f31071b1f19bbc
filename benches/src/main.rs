//! Compares multiplexers: see `--help` and the README.

mod cli;
mod compare;
mod ends;
mod go;
mod graph;
mod mux;
mod peers;
mod relay;
mod runtime;
mod series;
mod syscalls;
mod work;

use std::{process, thread, time::Duration};

use anyhow::Result;
use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => compare::run(&cli.compare),
        Some(Command::Show(options)) => compare::show(&options),
        Some(Command::Chart(options)) => compare::chart(&options),
        Some(Command::Ramp(options)) => compare::ramp(&options),
        Some(Command::Graph(options)) => graph::run(&options),
        Some(Command::Syscalls(options)) => syscalls::run(&options),
        Some(Command::Child {
            peer,
            workload,
            shape,
            seconds,
        }) => {
            let time = Duration::from_secs_f64(seconds);
            end_after(workload.work.limit(time) + LONGER);
            let figures = peer.run(workload.work, shape, time)?;
            println!("{}", serde_json::to_string(&figures)?);
            // Tasks and threads of the peer may still run; they are not awaited.
            process::exit(0)
        }
    }
}

/// The process that started a run ends it earlier by this, if it still can.
const LONGER: Duration = Duration::from_secs(10);

/// A run that hangs must not outlive the comparison, even if that was killed.
fn end_after(limit: Duration) {
    thread::spawn(move || {
        work::sleep(limit);
        process::exit(1)
    });
}
