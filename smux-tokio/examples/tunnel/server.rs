//! The end that accepts sessions and connects their streams to the target.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use smux_tokio::{CloseReason, Config, Session, Stream};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::ServerArgs;
use crate::pump::{self, Carried, DELIVERY, HalfClose};
use crate::statistics::Statistics;
use crate::transport::{Acceptor, Arrival};

/// After an error of `accept`, which is most often the lack of file descriptors: some may be free again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    acceptor: Acceptor,
    room: Arc<Semaphore>,
    service: Arc<Service>,
}

/// What the tasks of all sessions share.
struct Service {
    target: String,
    connect_timeout: Duration,
    half_close: HalfClose,
    drain: Duration,
    config: Config,
    statistics: Statistics,
    shutdown: CancellationToken,
}

impl Server {
    pub(crate) async fn bind(
        args: &ServerArgs,
        statistics: &Statistics,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        Ok(Self {
            acceptor: Acceptor::bind(args).await?,
            room: Arc::new(Semaphore::new(args.max_sessions.into())),
            service: Arc::new(Service {
                target: args.target.clone(),
                connect_timeout: args.connect_timeout,
                // A target that has answered has nothing to wait for.
                half_close: args.link.half_close(Duration::ZERO),
                drain: args.link.drain,
                config: args.link.config(args.smux_version, args.max_connections)?,
                statistics: statistics.clone(),
                shutdown: shutdown.clone(),
            }),
        })
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.acceptor.local_addr()?)
    }

    /// Serves sessions until shutdown is requested, then lets their streams end.
    pub(crate) async fn run(mut self) -> Result<()> {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.acceptor.accept() => match accepted {
                    Ok(arrival) => match Arc::clone(&self.room).try_acquire_owned() {
                        Ok(permit) => {
                            let service = Arc::clone(&self.service);
                            sessions.spawn(async move {
                                service.serve(arrival).await;
                                drop(permit);
                            });
                        }
                        Err(_) => tracing::warn!("a client was turned away: too many sessions"),
                    },
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a client");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
                () = self.service.shutdown.cancelled() => break,
            }
        }
        let _open = self.acceptor.stop();
        let drain = self.service.drain;
        let closing = self.service.config.close_timeout();
        let ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(drain + closing + DELIVERY, ended)
            .await
            .is_err()
        {
            tracing::warn!(sessions = sessions.len(), "cutting those that do not read");
            sessions.shutdown().await;
        }
        Ok(())
    }
}

impl Service {
    async fn serve(self: Arc<Self>, arrival: Arrival) {
        let started = tokio::time::timeout(HANDSHAKE, arrival.start(self.config.clone())).await;
        let session = match started {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => {
                return tracing::warn!(error = format_args!("{error:#}"), "no session");
            }
            Err(_) => return tracing::warn!("no session: the handshake took too long"),
        };
        let _counted = self.statistics.count(&session);
        let peer = session.peer_addr().map(tracing::field::display);
        tracing::info!(peer, "session started");
        let mut connections = JoinSet::new();
        let reason = Arc::clone(&self)
            .serve_streams(&session, &mut connections)
            .await;
        tracing::info!(peer, %reason, "session ended");
        // What had arrived is still delivered.
        while connections.join_next().await.is_some() {}
    }

    /// Serves the session's streams until it ends. When shutdown is requested, that is when they have ended.
    async fn serve_streams(
        self: Arc<Self>,
        session: &Session,
        connections: &mut JoinSet<()>,
    ) -> CloseReason {
        let mut drain = pin!(async {
            self.shutdown.cancelled().await;
            session.drain(self.drain).await
        });
        loop {
            tokio::select! {
                accepted = session.accept() => match accepted {
                    Ok(stream) => {
                        connections.spawn(Arc::clone(&self).serve_stream(stream));
                    }
                    // It gives the reason at once, `closed` when the transport is done with.
                    Err(_) => return session.closed().await,
                },
                Some(_) = connections.join_next() => {}
                reason = &mut drain => return reason,
            }
        }
    }

    async fn serve_stream(self: Arc<Self>, stream: Stream) {
        let id = stream.id();
        let tcp = match self.dial().await {
            Ok(tcp) => tcp,
            // Dropping the stream ends it in both directions.
            Err(error) => {
                return tracing::warn!(stream = %id, target = %self.target, %error, "cannot reach the target");
            }
        };
        tracing::debug!(stream = %id, "stream opened");
        let carried = Carried::default();
        match pump::carry(tcp, stream, self.half_close, &carried).await {
            Ok(()) => tracing::debug!(stream = %id, ?carried, "stream ended"),
            Err(error) => tracing::info!(stream = %id, ?carried, %error, "stream failed"),
        }
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let dial = TcpStream::connect(&self.target);
        let tcp = tokio::time::timeout(self.connect_timeout, dial).await??;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }
}
