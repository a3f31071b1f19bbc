//! Keeps the client's sessions up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use smux_tokio::{CloseReason, Config, OpenError, Session, Stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::cli::ClientArgs;
use crate::statistics::{Counted, Statistics};
use crate::transport::Connector;

/// A session that has lived so long shows that the server is reached: the next pause is short
/// again.
const LASTING: Duration = Duration::from_secs(10);

/// So many sessions with the server, each connected again when it is lost.
pub(crate) struct Pool {
    links: watch::Receiver<Vec<Option<Link>>>,
    closing: CancellationToken,
    keepers: JoinSet<()>,
}

impl Pool {
    pub(crate) fn start(args: &ClientArgs, statistics: &Statistics) -> Result<Self> {
        let count = usize::from(args.sessions);
        let (publish, links) = watch::channel(vec![None; count]);
        let keeper = Arc::new(Keeper {
            connector: Connector::new(args)?,
            server: args.server.clone(),
            // The server has nothing to open.
            config: args.link.config(args.smux_version, 0)?,
            connect_timeout: args.connect_timeout,
            max_backoff: args.max_backoff,
            most_streams: args.session_connections,
            statistics: statistics.clone(),
            publish,
            closing: CancellationToken::new(),
        });
        let mut keepers = JoinSet::new();
        for slot in 0..count {
            keepers.spawn(Arc::clone(&keeper).keep(slot));
        }
        Ok(Self {
            links,
            closing: keeper.closing.clone(),
            keepers,
        })
    }

    /// Opens streams on the session that suits best.
    pub(crate) fn opener(&self) -> Opener {
        Opener(self.links.clone())
    }

    /// Closes all sessions; what is queued is sent first.
    pub(crate) async fn close(mut self) {
        self.closing.cancel();
        while self.keepers.join_next().await.is_some() {}
    }
}

/// A session to open streams on.
#[derive(Clone)]
struct Link {
    session: Session,
    /// Streams to open in all.
    most_streams: u64,
    /// It opens no more: it is to be replaced.
    spent: CancellationToken,
}

impl Link {
    async fn open(&self) -> Result<Stream, OpenError> {
        let opened = self.session.open().await;
        let is_spent = match &opened {
            Ok(_) => self.session.stats().streams_opened >= self.most_streams,
            Err(error) => opens_no_more(error),
        };
        if is_spent {
            self.spent.cancel();
        }
        opened
    }

    fn is_usable(&self) -> bool {
        !self.session.is_closed() && !self.spent.is_cancelled()
    }
}

/// Whether a session that lives on opens no stream any more.
fn opens_no_more(error: &OpenError) -> bool {
    matches!(error, OpenError::IdsExhausted | OpenError::Draining)
}

#[derive(Clone)]
pub(crate) struct Opener(watch::Receiver<Vec<Option<Link>>>);

impl Opener {
    /// Opens a stream on the session with the fewest, and waits if there is none.
    ///
    /// # Errors
    /// When no session can come any more.
    pub(crate) async fn open(&mut self) -> Result<Stream> {
        loop {
            let best = least_loaded(&self.0.borrow_and_update());
            if let Some(link) = best {
                match link.open().await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => tracing::debug!(%error, "cannot open a stream, trying again"),
                }
            }
            // A session that cannot be used any more is about to be replaced.
            self.0.changed().await.context("the tunnel closes")?;
        }
    }
}

fn least_loaded(links: &[Option<Link>]) -> Option<Link> {
    let usable = links.iter().flatten().filter(|link| link.is_usable());
    usable
        .min_by_key(|link| link.session.stream_count())
        .cloned()
}

struct Keeper {
    connector: Connector,
    server: String,
    config: Config,
    connect_timeout: Duration,
    max_backoff: Duration,
    most_streams: u64,
    statistics: Statistics,
    publish: watch::Sender<Vec<Option<Link>>>,
    closing: CancellationToken,
}

impl Keeper {
    /// Keeps a session in `slot` up until told to close.
    async fn keep(self: Arc<Self>, slot: usize) {
        let mut backoff = Backoff::new(self.max_backoff);
        let mut spent = JoinSet::new();
        loop {
            let session = tokio::select! {
                session = self.connect(&mut backoff) => session,
                () = self.closing.cancelled() => break,
            };
            let counted = self.statistics.count(&session);
            let started = Instant::now();
            match self.serve(slot, &session).await {
                Served::Lost(reason) => {
                    tracing::warn!(slot, %reason, "session lost");
                    if started.elapsed() >= LASTING {
                        backoff.reset();
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff.pause()) => {}
                        () = self.closing.cancelled() => break,
                    }
                }
                Served::Spent => {
                    tracing::info!(slot, "session has carried all that it may: replaced");
                    spent.spawn(Arc::clone(&self).wind_up(session, counted));
                }
                Served::Closed(reason) => {
                    tracing::info!(slot, %reason, "session ended");
                    break;
                }
            }
            while spent.try_join_next().is_some() {}
        }
        while spent.join_next().await.is_some() {}
    }

    /// Offers the session until it can be used no more.
    async fn serve(&self, slot: usize, session: &Session) -> Served {
        let link = Link {
            session: session.clone(),
            most_streams: self.most_streams,
            spent: CancellationToken::new(),
        };
        self.publish
            .send_modify(|slots| slots[slot] = Some(link.clone()));
        let served = tokio::select! {
            reason = session.closed() => Served::Lost(reason),
            () = link.spent.cancelled() => Served::Spent,
            () = self.closing.cancelled() => Served::Closed(session.close().await),
        };
        self.publish.send_modify(|slots| slots[slot] = None);
        served
    }

    /// Lets the streams of a session that opens no more end in their own time.
    async fn wind_up(self: Arc<Self>, session: Session, _counted: Counted) {
        tokio::select! {
            reason = session.drain(Duration::MAX) => tracing::debug!(%reason, "replaced session ended"),
            () = self.closing.cancelled() => drop(session.close().await),
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
            .with_context(|| self.connector.silence())?
    }
}

/// What became of a session.
enum Served {
    Lost(CloseReason),
    Spent,
    Closed(CloseReason),
}

/// All ids of a session are more than a test can use up: a session that drains is in the same case.
#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> (Link, Session) {
        let (near, far) = tokio::io::duplex(1000);
        let link = Link {
            session: Session::client(near, Config::v2()),
            most_streams: u64::MAX,
            spent: CancellationToken::new(),
        };
        (link, Session::server(far, Config::v2()))
    }

    #[test]
    fn used_up_ids_end_the_use_of_a_session_and_its_end_does_so_by_itself() {
        assert!(opens_no_more(&OpenError::IdsExhausted));
        assert!(opens_no_more(&OpenError::Draining));
        assert!(!opens_no_more(&OpenError::Closed(CloseReason::Local)));
    }

    #[tokio::test]
    async fn connections_go_on_once_a_session_opens_no_more() {
        let [(worn, _peer), (fresh, _other_peer)] = [link(), link()];
        let carried = worn.open().await.expect("it is new");
        worn.session.start_drain(Duration::MAX);
        let (publish, links) = watch::channel(vec![Some(worn.clone())]);
        let mut opener = Opener(links);
        let next = async {
            // As its keeper does.
            worn.spent.cancelled().await;
            assert!(!worn.is_usable());
            publish.send_modify(|slots| slots[0] = Some(fresh.clone()));
        };
        let (opened, ()) = tokio::join!(opener.open(), next);
        drop(opened.expect("on the next session"));
        assert_eq!(fresh.session.stats().streams_opened, 1);
        assert_eq!(worn.session.stats().streams_opened, 1);
        assert!(!worn.session.is_closed());
        drop(carried);
    }
}
