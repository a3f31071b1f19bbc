use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::IntoResponse,
    routing,
};
use smux_tokio::{Config, Session};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::listener::Streams;

/// How long the answers of sessions may take to leave once the server was told to stop. What is
/// still open then is cut.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);
/// After an error of `accept`, which is most often the lack of file descriptors: some may be free
/// again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two lines about connections that cannot be accepted.
const LINES: Duration = Duration::from_secs(10);
/// Sessions at a time; further clients are turned away. One whose peer is silent ends by its
/// keep-alive timeout.
const MAX_SESSIONS: usize = 1024;

/// Says which request an answer is for.
pub(crate) const NUMBER: &str = "x-number";

/// A server on loopback.
pub(crate) struct Server {
    pub address: SocketAddr,
    /// Tells it to shut down: to take nothing more, and to answer what it has taken.
    pub stop: CancellationToken,
    taken: Arc<AtomicU64>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    pub(crate) async fn over_smux() -> Result<Self> {
        Self::start(serve_sessions).await
    }

    pub(crate) async fn over_tcp() -> Result<Self> {
        Self::start(serve_tcp).await
    }

    async fn start<S, F>(serve: S) -> Result<Self>
    where
        S: FnOnce(TcpListener, Router, CancellationToken) -> F,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let (stop, taken) = (CancellationToken::new(), Arc::default());
        let app = app(Arc::clone(&taken));
        let task = tokio::spawn(serve(listener, app, stop.clone()));
        Ok(Self {
            address,
            stop,
            taken,
            task,
        })
    }

    /// Shuts it down and returns how many requests it had taken.
    pub(crate) async fn shut_down(self) -> Result<u64> {
        self.stop.cancel();
        self.task.await??;
        Ok(self.taken.load(Ordering::Relaxed))
    }
}

fn app(taken: Arc<AtomicU64>) -> Router {
    Router::new()
        .route("/echo/{number}", routing::post(echo))
        .with_state(taken)
}

async fn echo(
    State(taken): State<Arc<AtomicU64>>,
    Path(number): Path<u64>,
    body: Bytes,
) -> impl IntoResponse {
    taken.fetch_add(1, Ordering::Relaxed);
    ([(NUMBER, number.to_string())], body)
}

/// Any number of TCP connections, each of which carries a session with any number of streams. One
/// that goes wrong concerns no other.
async fn serve_sessions(listener: TcpListener, app: Router, stop: CancellationToken) -> Result<()> {
    let mut sessions = JoinSet::new();
    let mut told = None::<Instant>;
    // One line an interval: what causes it, everybody can cause.
    let mut lack = |what: &str| {
        if told.is_none_or(|told| told.elapsed() >= LINES) {
            told = Some(Instant::now());
            eprintln!("cannot accept a connection: {what}");
        }
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(_) if sessions.len() >= MAX_SESSIONS => lack("too many sessions at once"),
                Ok((tcp, _)) => {
                    sessions.spawn(serve_session(tcp, app.clone(), stop.clone()));
                }
                Err(error) => {
                    lack(&error.to_string());
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(served) = sessions.join_next() => report(served),
            () = stop.cancelled() => break,
        }
    }
    let ended = async {
        while let Some(served) = sessions.join_next().await {
            report(served);
        }
    };
    if timeout(SHUTDOWN_LIMIT, ended).await.is_err() {
        eprintln!("cut {} sessions that did not end in time", sessions.len());
        sessions.shutdown().await;
    }
    Ok(())
}

fn report(served: Result<Result<()>, JoinError>) {
    if let Err(error) = served.unwrap_or_else(|panic| Err(panic.into())) {
        eprintln!("a session failed: {error:#}");
    }
}

/// Serves a session until it ends, or after `stop` until the last answer has left. Cuts it if
/// dropped.
async fn serve_session(tcp: TcpStream, app: Router, stop: CancellationToken) -> Result<()> {
    tcp.set_nodelay(true)?;
    let addresses = (Some(tcp.local_addr()?), Some(tcp.peer_addr()?));
    let (session, driver) = Session::server_with_driver(tcp, Config::v2());
    let session = session.with_addresses(addresses.0, addresses.1);
    let ended = session.clone();
    let stopped = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = ended.closed() => {}
        }
    };
    let serve = axum::serve(Streams::new(session), app)
        .with_graceful_shutdown(stopped)
        .into_future();
    // Serving drops the last handle of the session. That closes when the last answer has left, and
    // its driver ends.
    let (served, _) = tokio::join!(serve, driver);
    Ok(served?)
}

async fn serve_tcp(listener: TcpListener, app: Router, stop: CancellationToken) -> Result<()> {
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|tcp| {
        // Without it, the server would answer a little later and that is all.
        let _ = tcp.set_nodelay(true);
    });
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}
