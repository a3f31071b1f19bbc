//! The end that accepts TCP connections and opens streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use smux_tokio::Pool;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::ClientArgs;
use crate::metrics;
use crate::pool;
use crate::pump::{self, Carried, DELIVERY, Ending, HalfClose};
use crate::statistics::Statistics;
use crate::throttle::Throttle;

/// After an error of `accept`, which is most often the lack of file descriptors: some may be free
/// again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Without half-close: how long a user that has sent everything may wait for more of an answer.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    /// Where the counters are served.
    pub metrics: Option<SocketAddr>,
    listener: TcpListener,
    pool: Pool,
    service: Arc<Service>,
    drain: Duration,
}

/// What the tasks of all connections share.
struct Service {
    connect_timeout: Duration,
    ending: Ending,
    refused: Throttle,
    failed: Throttle,
}

impl Client {
    pub(crate) async fn bind(args: &ClientArgs, statistics: &Statistics) -> Result<Self> {
        let listener = TcpListener::bind(&args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let pool = pool::start(args, statistics)?;
        Ok(Self {
            metrics: metrics::start(&args.link, statistics).await?,
            listener,
            pool,
            service: Arc::new(Service {
                connect_timeout: args.connect_timeout,
                ending: args.link.ending(HalfClose::CloseAfter(CLOSE_WAIT)),
                refused: Throttle::new(),
                failed: Throttle::new(),
            }),
            drain: args.link.drain,
        })
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Carries connections until `shutdown`, then lets those that are open end.
    pub(crate) async fn run(self, shutdown: &CancellationToken) -> Result<()> {
        let mut connections = JoinSet::new();
        let unaccepted = Throttle::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, from)) => {
                        let service = Arc::clone(&self.service);
                        connections.spawn(service.carry(tcp, from, self.pool.clone()));
                    }
                    Err(error) => {
                        if let Some(more) = unaccepted.pass() {
                            tracing::warn!(%error, more, "cannot accept a connection");
                        }
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
                "the time of --drain is over: cutting open connections"
            );
        }
        self.pool.close().await;
        let delivered = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DELIVERY, delivered).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "cutting connections that do not read"
            );
            connections.shutdown().await;
        }
        Ok(())
    }
}

impl Service {
    async fn carry(self: Arc<Self>, tcp: TcpStream, from: SocketAddr, pool: Pool) {
        // A reset instead of an end, as long as nothing was carried.
        if let Err(error) = tcp.set_zero_linger() {
            tracing::debug!(%from, %error, "connection ended early");
            return;
        }
        let opened = tokio::time::timeout(self.connect_timeout, pool.open()).await;
        let Ok(Ok(stream)) = opened else {
            if let Some(more) = self.refused.pass() {
                tracing::warn!(%from, more, "connection refused: no session with the server");
            }
            return;
        };
        let id = stream.id();
        tracing::debug!(%from, stream = %id, "connection opened");
        let carried = Carried::default();
        match pump::carry(tcp, stream, self.ending, &carried).await {
            Ok(()) => tracing::debug!(%from, stream = %id, ?carried, "connection ended"),
            Err(error) => {
                if let Some(more) = self.failed.pass() {
                    tracing::info!(%from, stream = %id, ?carried, %error, more, "connection failed");
                }
            }
        }
    }
}
