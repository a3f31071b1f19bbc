//! Keeps the client's sessions up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use smux_tokio::{Config, Session, Stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::cli::ClientArgs;
use crate::statistics::Statistics;
use crate::transport::Connector;

/// So many sessions with the server, each connected again when it is lost.
pub(crate) struct Pool {
    sessions: watch::Receiver<Vec<Option<Session>>>,
    closing: CancellationToken,
    keepers: JoinSet<()>,
}

impl Pool {
    pub(crate) fn start(args: &ClientArgs, statistics: &Statistics) -> Result<Self> {
        let count = usize::from(args.sessions);
        let (publish, sessions) = watch::channel(vec![None; count]);
        let keeper = Arc::new(Keeper {
            connector: Connector::new(args)?,
            server: args.server.clone(),
            // The server has nothing to open.
            config: args.link.config(args.smux_version, 0)?,
            connect_timeout: args.connect_timeout,
            max_backoff: args.max_backoff,
            statistics: statistics.clone(),
            publish,
            closing: CancellationToken::new(),
        });
        let mut keepers = JoinSet::new();
        for slot in 0..count {
            keepers.spawn(Arc::clone(&keeper).keep(slot));
        }
        Ok(Self {
            sessions,
            closing: keeper.closing.clone(),
            keepers,
        })
    }

    /// What opens streams on whichever session is best.
    pub(crate) fn opener(&self) -> Opener {
        Opener(self.sessions.clone())
    }

    /// Closes all sessions; what is queued is sent first.
    pub(crate) async fn close(mut self) {
        self.closing.cancel();
        while self.keepers.join_next().await.is_some() {}
    }
}

#[derive(Clone)]
pub(crate) struct Opener(watch::Receiver<Vec<Option<Session>>>);

impl Opener {
    /// Opens a stream on the session with the fewest, and waits if there is none.
    ///
    /// # Errors
    /// When no session can come any more.
    pub(crate) async fn open(&mut self) -> Result<Stream> {
        loop {
            let best = least_loaded(&self.0.borrow_and_update());
            if let Some(session) = best {
                match session.open().await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => tracing::debug!(%error, "cannot open a stream, trying again"),
                }
            }
            // A session that cannot be used any more is about to be replaced.
            self.0.changed().await.context("the tunnel closes")?;
        }
    }
}

fn least_loaded(sessions: &[Option<Session>]) -> Option<Session> {
    let usable = sessions
        .iter()
        .flatten()
        .filter(|session| !session.is_closed());
    usable.min_by_key(|session| session.stream_count()).cloned()
}

struct Keeper {
    connector: Connector,
    server: String,
    config: Config,
    connect_timeout: Duration,
    max_backoff: Duration,
    statistics: Statistics,
    publish: watch::Sender<Vec<Option<Session>>>,
    closing: CancellationToken,
}

impl Keeper {
    /// Keeps the session in `slot` up until told to close.
    async fn keep(self: Arc<Self>, slot: usize) {
        let mut backoff = Backoff::new(self.max_backoff);
        loop {
            let session = tokio::select! {
                session = self.connect(&mut backoff) => session,
                () = self.closing.cancelled() => return,
            };
            let _counted = self.statistics.count(&session);
            self.publish
                .send_modify(|slots| slots[slot] = Some(session.clone()));
            let (reason, wanted) = tokio::select! {
                reason = session.closed() => (reason, false),
                () = self.closing.cancelled() => (session.close().await, true),
            };
            self.publish.send_modify(|slots| slots[slot] = None);
            if wanted {
                tracing::info!(slot, %reason, "session ended");
                return;
            }
            tracing::warn!(slot, %reason, "session lost");
            // Over UDP a session starts without an answer: only what was received shows a living server.
            if session.stats().bytes_received > 0 {
                backoff.reset();
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    async fn connect(&self, backoff: &mut Backoff) -> Session {
        loop {
            match self.try_connect().await {
                Ok(session) => {
                    tracing::info!(server = %self.server, "session started");
                    return session;
                }
                Err(error) => {
                    let pause = backoff.pause();
                    tracing::warn!(
                        server = %self.server,
                        error = format_args!("{error:#}"),
                        ?pause,
                        "cannot reach the server"
                    );
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn try_connect(&self) -> Result<Session> {
        let connect = self.connector.connect(&self.server, self.config.clone());
        tokio::time::timeout(self.connect_timeout, connect)
            .await
            .context("no answer in time")?
    }
}
