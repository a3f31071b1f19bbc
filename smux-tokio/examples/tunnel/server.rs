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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::cli::ServerArgs;
use crate::metrics;
use crate::pump::{self, Carried, DELIVERY, Ending, HalfClose};
use crate::statistics::Statistics;
use crate::throttle::Throttle;
use crate::transport::{Acceptor, Visitor};

/// After an error of `accept`, which is most often the lack of file descriptors: some may be free
/// again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a session is asked how many streams it has refused.
const LOOK: Duration = Duration::from_secs(1);
/// Whether the log says that sessions begin and end. With the feature, they say so themselves.
const TELLS: bool = cfg!(not(feature = "tracing"));

pub(crate) struct Server {
    /// Where the counters are served.
    pub metrics: Option<SocketAddr>,
    acceptor: Acceptor,
    arrivals: Arrivals,
    room: Arc<Semaphore>,
    service: Arc<Service>,
}

/// What the tasks of all sessions share.
struct Service {
    target: String,
    connect_timeout: Duration,
    ending: Ending,
    drain: Duration,
    config: Config,
    statistics: Statistics,
    shutdown: CancellationToken,
    turned_away: Throttle,
    refused: Throttle,
    unreachable: Throttle,
    failed: Throttle,
}

impl Server {
    pub(crate) async fn bind(
        args: &ServerArgs,
        statistics: &Statistics,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        Ok(Self {
            metrics: metrics::start(&args.link, statistics).await?,
            acceptor: Acceptor::bind(args).await?,
            arrivals: Arrivals::new(args.first_frame_timeout),
            room: Arc::new(Semaphore::new(args.max_sessions.into())),
            service: Arc::new(Service {
                target: args.target.clone(),
                connect_timeout: args.connect_timeout,
                // A target that has answered has nothing to wait for.
                ending: args.link.ending(HalfClose::Close),
                drain: args.link.drain,
                config: args
                    .link
                    .config(args.smux_version.0, args.max_connections)?,
                statistics: statistics.clone(),
                shutdown: shutdown.clone(),
                turned_away: Throttle::new(),
                refused: Throttle::new(),
                unreachable: Throttle::new(),
                failed: Throttle::new(),
            }),
        })
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.acceptor.local_addr()?)
    }

    /// Serves sessions until shutdown is requested, then lets their streams end.
    pub(crate) async fn run(mut self) -> Result<()> {
        let mut sessions = JoinSet::new();
        let unaccepted = Throttle::new();
        loop {
            tokio::select! {
                accepted = self.acceptor.accept() => match accepted {
                    Ok(arrival) => self.arrivals.push(arrival),
                    Err(error) => {
                        if let Some(more) = unaccepted.pass() {
                            tracing::warn!(%error, more, "cannot accept a client");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                visitor = self.arrivals.next() => {
                    if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
                        let service = Arc::clone(&self.service);
                        sessions.spawn(async move {
                            service.serve(visitor).await;
                            drop(permit);
                        });
                    } else if let Some(more) = self.service.turned_away.pass() {
                        tracing::warn!(more, "a client was turned away: too many sessions (--max-sessions)");
                    }
                }
                Some(_) = sessions.join_next() => {}
                () = self.service.shutdown.cancelled() => break,
            }
        }
        drop(self.arrivals);
        let _open = self.acceptor.stop();
        let drain = self.service.drain;
        let closing = self.service.config.close_timeout();
        let ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(drain + closing + DELIVERY, ended)
            .await
            .is_err()
        {
            tracing::warn!(
                sessions = sessions.len(),
                "cutting sessions with targets that do not read"
            );
            sessions.shutdown().await;
        }
        Ok(())
    }
}

impl Service {
    async fn serve(self: Arc<Self>, visitor: Visitor) {
        let session = match self.start(visitor).await {
            Ok(session) => session,
            Err(error) => return tracing::debug!(%error, "a client left before its session began"),
        };
        let _counted = self.statistics.count(&session);
        let (id, began) = (session.id(), Instant::now());
        let peer = session.peer_addr().map(tracing::field::display);
        if TELLS {
            tracing::info!(session = %id, peer, "session began");
        }
        let mut connections = JoinSet::new();
        let reason = Arc::clone(&self)
            .serve_streams(&session, &mut connections)
            .await;
        if TELLS {
            let stats = session.stats();
            tracing::info!(
                session = %id,
                peer,
                %reason,
                duration = ?Duration::from_secs(began.elapsed().as_secs()),
                received = stats.bytes_received,
                sent = stats.bytes_emitted,
                "session ended"
            );
        }
        // What had arrived is still delivered.
        while connections.join_next().await.is_some() {}
    }

    async fn start(&self, mut visitor: Visitor) -> io::Result<Session> {
        visitor.welcome().await?;
        visitor.start(self.config.clone())
    }

    /// Serves the session's streams until it ends. When shutdown is requested, that is when they
    /// have ended.
    async fn serve_streams(
        self: Arc<Self>,
        session: &Session,
        connections: &mut JoinSet<()>,
    ) -> CloseReason {
        let mut drain = pin!(async {
            self.shutdown.cancelled().await;
            session.drain(self.drain).await
        });
        let mut looks = tokio::time::interval(LOOK);
        let mut refused = 0;
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
                _ = looks.tick() => {
                    let before = refused;
                    refused = session.stats().streams_refused;
                    if refused > before && !self.shutdown.is_cancelled() {
                        self.report_refused(session, refused - before);
                    }
                }
                reason = &mut drain => return reason,
            }
        }
    }

    fn report_refused(&self, session: &Session, refused: u64) {
        if let Some(more) = self.refused.pass() {
            let peer = session.peer_addr().map(tracing::field::display);
            let limit = self.config.max_inbound_streams();
            tracing::warn!(
                peer,
                refused,
                limit,
                more,
                "connections refused: more at once than --max-connections"
            );
        }
    }

    async fn serve_stream(self: Arc<Self>, stream: Stream) {
        let id = stream.id();
        let tcp = match self.dial().await {
            Ok(tcp) => tcp,
            // Dropping the stream ends it in both directions.
            Err(error) => {
                if let Some(more) = self.unreachable.pass() {
                    tracing::warn!(stream = %id, target = %self.target, %error, more, "cannot reach the target");
                }
                return;
            }
        };
        tracing::debug!(stream = %id, "stream opened");
        let carried = Carried::default();
        match pump::carry(tcp, stream, self.ending, &carried).await {
            Ok(()) => tracing::debug!(stream = %id, ?carried, "stream ended"),
            Err(error) => {
                if let Some(more) = self.failed.pass() {
                    tracing::info!(stream = %id, ?carried, %error, more, "stream failed");
                }
            }
        }
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let dial = TcpStream::connect(&self.target);
        tokio::time::timeout(self.connect_timeout, dial).await?
    }
}
