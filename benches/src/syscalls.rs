//! System calls per MiB and per message, counted by strace.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use comfy_table::presets;

use crate::{
    compare::{Spread, finish},
    go::Input,
    peers::{self, Peer},
    runtime::Shape,
    work::{self, Figures, Work, Workload},
};

const WORKLOADS: [&str; 4] = ["bulk-1", "bulk-100", "msg-1", "msg-100"];
const PEERS: [&str; 9] = [
    peers::BASELINE,
    "limit",
    "smux-tokio-v1",
    "smux-tokio-v2",
    "smux-smol-v1",
    "async_smux",
    "tokio_smux",
    "h2",
    "yamux",
];
const RUNS: usize = 5;

#[derive(Args)]
pub(crate) struct Syscalls {
    /// Only this workload.
    #[arg(long)]
    workload: Option<String>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Also write the table to this file, in Markdown.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(options: &Syscalls) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["workload", "peer", "system calls", "min–max", "per"]);
    for name in WORKLOADS {
        if options
            .workload
            .as_ref()
            .is_some_and(|wanted| wanted != name)
        {
            continue;
        }
        let workload = work::find(name).context("no such workload")?;
        for name in PEERS {
            let peer = peers::find(name).context("no such peer")?;
            let counts = (0..RUNS).map(|_| count(peer, workload, options.seconds));
            let [median, range] = match counts.collect::<Result<Vec<f64>>>() {
                Ok(counts) => Spread::cells(Spread::of(counts)),
                Err(error) => ["–".to_owned(), format!("{error:#}")],
            };
            let unit = if bytes(workload.work) {
                "MiB"
            } else {
                "1000 messages"
            };
            table.add_row([workload.name, name, &median, &range, unit]);
        }
    }
    println!("{table}");
    if let Some(path) = &options.output {
        let text = "# System calls\n\nWritten by `syscalls.sh`: both ends on one thread, \
                    counted by strace; medians of five runs.\n\n";
        fs::write(path, format!("{text}{table}\n")).context("--output")?;
    }
    Ok(())
}

fn bytes(work: Work) -> bool {
    matches!(work, Work::Bulk { .. })
}

/// System calls for each MiB, or for each thousand messages.
fn count(peer: &Peer, workload: &Workload, seconds: f64) -> Result<f64> {
    if let Some(reason) = peer.skip(workload.work, Shape::Single) {
        bail!("{}: {reason}", peer.name);
    }
    let program = env::current_exe()?;
    let summary = program.with_file_name("smux-benches-strace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-c", "-o"])
        .arg(&summary)
        .arg(&program)
        .args(["child", "--peer", peer.name]);
    command.args([
        "--workload",
        workload.name,
        "--shape",
        "single",
        "--seconds",
        &seconds.to_string(),
    ]);
    let limit = workload.work.limit(Duration::from_secs_f64(seconds));
    let figures: Figures = finish(&mut command, Input::Nothing, limit).context("strace")?;
    ensure!(figures.amount > 0.0, "nothing was moved");
    let unit = if bytes(workload.work) {
        figures.amount / 1.048_576
    } else {
        figures.amount
    };
    Ok(total(&summary)? / unit)
}

/// From the last line of what `strace -c` writes, which ends in `CALLS [ERRORS] total`.
fn total(summary: &Path) -> Result<f64> {
    let text = fs::read_to_string(summary)?;
    let line = text
        .lines()
        .find(|line| line.ends_with("total"))
        .context("no total")?;
    let calls = line
        .split_whitespace()
        .nth(3)
        .context("no count of calls")?;
    Ok(calls.parse()?)
}
