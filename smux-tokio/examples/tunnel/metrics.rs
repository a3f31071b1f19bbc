//! The counters over HTTP, for `--metrics`.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::cli::LinkArgs;
use crate::endpoint;
use crate::statistics::Statistics;

/// Serves them for as long as the runtime lives, if that is asked for. Returns where.
pub(crate) async fn start(args: &LinkArgs, statistics: &Statistics) -> Result<Option<SocketAddr>> {
    let Some(address) = &args.metrics else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot serve metrics on {address}"))?;
    let bound = listener.local_addr()?;
    let statistics = statistics.clone();
    tokio::spawn(async move {
        if let Err(error) = endpoint::serve(listener, move || statistics.snapshot()).await {
            tracing::error!(%error, "metrics are served no more");
        }
    });
    Ok(Some(bound))
}
