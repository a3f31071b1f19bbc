//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    compare::{Chart, Ramp, Show},
    graph::Graph,
    peers::{self, Peer},
    runtime::Shape,
    syscalls::Syscalls,
    work::{self, WORKLOADS, Workload},
};

/// Runs multiplexers on the same work over loopback TCP, in turns, each in a process of its own,
/// and prints a table for every workload.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) compare: Compare,
}

#[derive(Args)]
pub(crate) struct Compare {
    /// Short: 1 second a cell, 3 runs.
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Runs of every peer on every workload; default 5.
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Seconds a run measures; default 3.
    #[arg(long)]
    seconds: Option<f64>,
    /// How the two ends share threads.
    #[arg(long, value_enum, value_name = "SHAPE", default_values = ["two", "one"])]
    pub(crate) runtimes: Vec<Shape>,
    /// Also write the tables to this file, in Markdown.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also add every run to this file, a line of JSON each, for `show` and `chart`.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// List workloads and peers, and do nothing.
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Args)]
pub(crate) struct Selection {
    /// Only this workload, or those whose names begin with it and "-". May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Vec<String>,
    /// Only this peer, or those whose names begin with it and "-", and the baseline. May be
    /// repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) peer: Vec<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Prints the tables of saved runs.
    Show(Show),
    /// Draws saved runs beside raw TCP, and prints the same as a small table in Markdown.
    Chart(Chart),
    /// Draws how the downloads of saved runs got up to speed.
    Ramp(Ramp),
    /// Draws throughput over time with a reader that pauses, for small and large receive buffers.
    Graph(Graph),
    /// Counts system calls with strace.
    Syscalls(Syscalls),
    /// One run of one peer on one workload, in this process. Prints JSON.
    #[command(hide = true)]
    Child {
        #[arg(long, value_parser = peer)]
        peer: &'static Peer,
        #[arg(long, value_parser = workload)]
        workload: &'static Workload,
        #[arg(long)]
        shape: Shape,
        #[arg(long)]
        seconds: f64,
    },
}

fn peer(name: &str) -> Result<&'static Peer, String> {
    peers::find(name).ok_or_else(|| "no such peer".to_owned())
}

fn workload(name: &str) -> Result<&'static Workload, String> {
    work::find(name).ok_or_else(|| "no such workload".to_owned())
}

impl Compare {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 1.0 } else { 3.0 }))
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 3 } else { 5 })
    }
}

impl Selection {
    pub(crate) fn workloads(&self) -> Vec<&'static Workload> {
        WORKLOADS
            .iter()
            .filter(|workload| chosen(&self.workload, workload.name))
            .collect()
    }

    pub(crate) fn peers(&self) -> Vec<&'static Peer> {
        let wanted = |peer: &&Peer| peer.name == peers::BASELINE || chosen(&self.peer, peer.name);
        peers::PEERS.iter().filter(wanted).collect()
    }
}

fn chosen(patterns: &[String], name: &str) -> bool {
    let matches = |pattern: &String| {
        name.strip_prefix(pattern.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    patterns.is_empty() || patterns.iter().any(matches)
}
