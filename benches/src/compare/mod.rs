//! Runs peers in turns and prints what came out.

mod child;
mod table;

pub(crate) use self::{
    child::{Limits, finish},
    table::median_and_range,
};

use std::{fs, io::Write};

use anyhow::{Context, Result, ensure};

use self::{child::Runner, table::Table};
use crate::{cli::Compare, peers, work::WORKLOADS};

pub(crate) fn run(options: &Compare) -> Result<()> {
    if options.list {
        list();
        return Ok(());
    }
    let (workloads, peers) = (options.workloads(), options.peers());
    ensure!(!workloads.is_empty(), "no such workload; see --list");
    ensure!(
        options.peer.is_empty() || peers.len() > 1,
        "no such peer; see --list"
    );

    let mut output = options
        .output
        .as_ref()
        .map(fs::File::create)
        .transpose()
        .context("--output")?;
    let runner = Runner::new(&peers);
    for workload in workloads {
        for &shape in &options.runtimes {
            let mut table = Table::new(workload, shape, &peers);
            for run in 0..options.runs() {
                let mut order: Vec<_> = peers.clone();
                // Nobody always runs behind the same neighbour.
                fastrand::shuffle(&mut order);
                for peer in order {
                    if let Some(reason) = peer.skip(workload.work, shape) {
                        table.skip(peer, reason);
                        continue;
                    }
                    eprint!("\r\x1b[K{} run {} {}", workload.name, run + 1, peer.name);
                    table.add(run, peer, runner.run(peer, workload, shape, options.time()));
                }
            }
            eprint!("\r\x1b[K");
            println!("{}", table.text());
            if let Some(file) = &mut output {
                writeln!(file, "{}", table.markdown())?;
            }
        }
    }
    Ok(())
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
