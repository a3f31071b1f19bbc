//! The end that accepts TCP connections and opens streams.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::ClientArgs;
use crate::pool::{Opener, Pool};
use crate::pump::{self, Carried, DELIVERY, HalfClose};
use crate::statistics::Statistics;

/// After an error of `accept`, which is most often the lack of file descriptors: some may be free again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Without half-close: how long a user that has sent everything may wait for an answer.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    listener: TcpListener,
    pool: Pool,
    connect_timeout: Duration,
    half_close: HalfClose,
    drain: Duration,
}

impl Client {
    pub(crate) async fn bind(args: &ClientArgs, statistics: &Statistics) -> Result<Self> {
        let listener = TcpListener::bind(&args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        Ok(Self {
            listener,
            pool: Pool::start(args, statistics)?,
            connect_timeout: args.connect_timeout,
            half_close: args.link.half_close(CLOSE_WAIT),
            drain: args.link.drain,
        })
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Carries connections until `shutdown`, then lets those that are open end.
    pub(crate) async fn run(self, shutdown: &CancellationToken) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, from)) => {
                        let opener = self.pool.opener();
                        let (limit, half_close) = (self.connect_timeout, self.half_close);
                        connections.spawn(async move {
                            carry(tcp, from, opener, limit, half_close).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain, ended).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "time is up: cutting what is open"
            );
        }
        self.pool.close().await;
        let delivered = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DELIVERY, delivered).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "cutting those that do not read"
            );
            connections.shutdown().await;
        }
        Ok(())
    }
}

async fn carry(
    tcp: TcpStream,
    from: SocketAddr,
    mut opener: Opener,
    limit: Duration,
    half_close: HalfClose,
) {
    // A reset instead of an end, as long as nothing was carried.
    if let Err(error) = tcp.set_zero_linger().and_then(|()| tcp.set_nodelay(true)) {
        tracing::debug!(%from, %error, "connection ended early");
        return;
    }
    let Ok(Ok(stream)) = tokio::time::timeout(limit, opener.open()).await else {
        tracing::warn!(%from, "connection refused: no session with the server");
        return;
    };
    let id = stream.id();
    tracing::debug!(%from, stream = %id, "connection opened");
    let carried = Carried::default();
    match pump::carry(tcp, stream, half_close, &carried).await {
        Ok(()) => tracing::debug!(%from, stream = %id, ?carried, "connection ended"),
        Err(error) => tracing::info!(%from, stream = %id, ?carried, %error, "connection failed"),
    }
}
