//! HTTP over smux: `axum` on the streams that sessions accept, `hyper` on those that one opens.
//!
//! Both ends run in this process and talk over loopback TCP. Every request carries a body that the
//! server sends back and the client compares. First many requests run over the streams of one
//! session, then the same over as many TCP connections. Then the server is shut down under load:
//! every request it accepted must have been answered.
//!
//! | file | job |
//! |---|---|
//! | `cli.rs` | the arguments |
//! | `server.rs` | the server, over smux and over TCP |
//! | `client.rs` | connections, and one request with its answer |
//! | `load.rs` | many requests at once |
//! | `report.rs` | the table at the end |

mod cli;
mod client;
mod load;
mod report;
mod server;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use smux_tokio::{Config, Session};
use tokio::net::TcpStream;

use crate::{cli::Args, client::Pool, load::Figures, report::report, server::Server};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let smux = over_smux(args).await?;
    let tcp = over_tcp(args).await?;
    report(args, &smux, &tcp);
    shut_down_under_load(args).await
}

async fn over_smux(args: &Args) -> Result<Figures> {
    let server = Server::over_smux().await?;
    let session = Session::connect(server.address, Config::v2()).await?;
    let pool = Pool::fill(args.streams(), async || Ok(session.open().await?)).await?;
    let figures = load::run(pool, args.concurrency, args.requests).await?;
    session.close().await;
    server.shut_down().await?;
    Ok(figures)
}

async fn over_tcp(args: &Args) -> Result<Figures> {
    let server = Server::over_tcp().await?;
    let connect = async || {
        let tcp = TcpStream::connect(server.address).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    };
    let pool = Pool::fill(args.streams(), connect).await?;
    let figures = load::run(pool, args.concurrency, args.requests).await?;
    server.shut_down().await?;
    Ok(figures)
}

/// Nothing that the server took may be lost: each request that reached its handler is answered, to
/// the last byte.
async fn shut_down_under_load(args: &Args) -> Result<()> {
    let server = Server::over_smux().await?;
    let session = Session::connect(server.address, Config::v2()).await?;
    let pool = Pool::fill(args.streams(), async || Ok(session.open().await?)).await?;
    let stop = server.stop.clone();
    let stop_at = args.requests.min(10_000) / 2;
    let stop = move || stop.cancel();
    let answered = load::run_until_refused(pool, args.concurrency, stop_at, stop).await?;
    let reason = session.closed().await;
    let taken = server.shut_down().await?;
    println!();
    println!(
        "shut down under load: the server took {taken} requests, the client got {answered} answers"
    );
    println!("the client saw: {reason}");
    ensure!(
        taken == answered,
        "requests that the server had taken were lost"
    );
    Ok(())
}
