//! Moves real data through smux over real TCP, checks every byte and puts the speed beside raw TCP.
//!
//! Without arguments both ends live in this process and talk over loopback. With `--listen` and
//! `--connect` they are two processes. `--help` lists the options.
//!
//! | file | job |
//! |---|---|
//! | `cli.rs` | the arguments |
//! | `listen.rs` | the end that waits for connections |
//! | `connect.rs` | the end that orders and times the work |
//! | `protocol.rs` | what the two ends say to each other |
//! | `work.rs` | moving data and checking it, over any stream |
//! | `report.rs` | progress, figures, the table at the end |

mod cli;
mod connect;
mod listen;
mod protocol;
mod report;
mod work;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::Args;
use crate::report::{BothEnds, resident_memory};

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> Result<()> {
    let runtime = new_runtime(args.threads)?;
    match (&args.listen, &args.connect) {
        (Some(address), _) => runtime.block_on(serve(address, args.once)),
        (None, Some(address)) => runtime.block_on(connect::run(address, args, BothEnds::No)),
        // A runtime for each end: no round trip is shortened by both ends meeting on one thread.
        (None, None) => both_ends(args, &runtime, &new_runtime(args.threads)?),
    }
}

fn new_runtime(threads: Option<u16>) -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.into());
    }
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Serves until Ctrl-C, or until the first session has ended if `once` is set.
async fn serve(address: &str, once: bool) -> Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on {}", listener.local_addr()?);
    tokio::select! {
        result = listen::run(listener, once) => result?,
        result = tokio::signal::ctrl_c() => result.context("cannot wait for Ctrl-C")?,
    }
    if let Some(memory) = resident_memory() {
        println!("{memory}");
    }
    Ok(())
}

fn both_ends(args: &Args, client: &Runtime, server: &Runtime) -> Result<()> {
    let listener = server
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .context("cannot listen on loopback")?;
    let address = listener.local_addr()?.to_string();
    println!("both ends in this process, over TCP on {address}");
    let serving = server.spawn(listen::run(listener, true));
    client.block_on(connect::run(&address, args, BothEnds::Yes))?;
    server.block_on(serving)?
}
