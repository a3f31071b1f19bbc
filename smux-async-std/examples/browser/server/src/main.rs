//! Serves a page whose client opens many streams over one WebSocket, and the other end of these.
//!
//! The page posts what it has found. With `--once` the server then ends, with a status that says
//! whether all was well.
//!
//! | file | job |
//! |---|---|
//! | `client.rs` | builds the client |
//! | `messages.rs` | a WebSocket as a stream of bytes |

mod client;
mod messages;

use std::{
    env, io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::WebSocket},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use smux_tokio::{Config, Session, Stream};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc, task, time::timeout};

use crate::{client::Client, messages::bytes_of};

const PAGE: &str = include_str!("../../page/index.html");
const LIMIT: Duration = Duration::from_secs(60);

struct Server {
    client: Client,
    websockets: AtomicU64,
    streams: AtomicU64,
    reports: mpsc::Sender<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--once"] => true,
        _ => bail!("the only argument is --once"),
    };
    let (reports, mut reported) = mpsc::channel(1);
    let server = Arc::new(Server {
        client: task::spawn_blocking(client::build).await??,
        websockets: AtomicU64::new(0),
        streams: AtomicU64::new(0),
        reports,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/", listener.local_addr()?);
    let serving = axum::serve(listener, router(Arc::clone(&server)));
    tokio::spawn(serving.into_future());
    loop {
        let report = match once {
            true => timeout(LIMIT, reported.recv())
                .await
                .context("no report in time")?,
            false => reported.recv().await,
        };
        let report = report.context("the server has ended")?;
        let (websockets, streams) = (
            server.websockets.swap(0, Relaxed),
            server.streams.swap(0, Relaxed),
        );
        println!("{report}");
        println!("the server has seen {streams} streams over {websockets} WebSocket");
        if once {
            ensure!(report.starts_with("ok: "), "the page has failed");
            ensure!(websockets == 1, "more than one WebSocket");
            return Ok(());
        }
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", get(Html(PAGE)))
        .route("/client.js", get(script))
        .route("/client_bg.wasm", get(wasm))
        .route("/session", get(open))
        .route("/report", post(report))
        .with_state(server)
}

async fn script(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let script = server.client.script.clone();
    ([(CONTENT_TYPE, "text/javascript")], script)
}

async fn wasm(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let wasm = server.client.wasm.clone();
    ([(CONTENT_TYPE, "application/wasm")], wasm)
}

async fn report(State(server): State<Arc<Server>>, report: String) {
    // An error means that the server ends.
    let _ = server.reports.send(report).await;
}

/// Any page may open a WebSocket to any server: only our own is let in.
async fn open(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(ORIGIN).and_then(|origin| origin.split_once("://"));
    if origin.map(|(_scheme, host)| host) != text(HOST) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |socket| serve(socket, server))
}

async fn serve(socket: WebSocket, server: Arc<Server>) {
    server.websockets.fetch_add(1, Relaxed);
    let session = Session::server(bytes_of(socket), Config::v2());
    while let Ok(stream) = session.accept().await {
        server.streams.fetch_add(1, Relaxed);
        tokio::spawn(echo(stream));
    }
}

async fn echo(stream: Stream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    reader.copy_to(&mut writer).await?;
    writer.shutdown().await
}
