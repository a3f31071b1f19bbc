use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
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
use smux_tokio::{Config, Listener, ListenerEvent};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long the answers of sessions may take to leave once the server was told to stop. What is
/// still open then is cut.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);
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
    let listener = Listener::builder()
        .max_sessions(MAX_SESSIONS)
        .on_event(tell(LINES))
        .tcp(listener, Config::v2());
    let sessions = listener.handle();
    let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_late = async {
        stop.cancelled().await;
        sleep(SHUTDOWN_LIMIT).await;
    };
    tokio::select! {
        served = serve.into_future() => served?,
        () = too_late => {
            eprintln!("cut {} sessions that did not end in time", sessions.session_count());
            sessions.start_close();
        }
    }
    // Each session closes when its last answer has left.
    sessions.ended().await;
    Ok(())
}

/// Prints what goes wrong, one line an interval: any client can cause it.
fn tell(interval: Duration) -> impl Fn(&ListenerEvent<'_>) + Send + Sync {
    let told = Mutex::new(None::<Instant>);
    move |event| {
        let what = match event {
            ListenerEvent::AcceptFailed { error } => error.to_string(),
            ListenerEvent::HandshakeFailed { error } => error.to_string(),
            ListenerEvent::Refused => "too many sessions at once".to_owned(),
            _ => return,
        };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= interval) {
            *told = Some(Instant::now());
            eprintln!("cannot accept a connection: {what}");
        }
    }
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
