//! smux over WebSockets, as through a CDN: `tokio-tungstenite` at both ends.
//!
//! The client does not reach the server, only what stands for a CDN, which answers its WebSocket
//! and forwards the bytes over another one, in messages of its own. Many streams send data each
//! way at the same time, and every byte is compared.
//!
//! | file | job |
//! |---|---|
//! | `messages.rs` | a WebSocket as a stream of bytes: the file to copy |
//! | `cdn.rs` | what stands between client and server |

mod cdn;
mod messages;

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use smux_tokio::{Config, Listener, Pool, Session, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::{
    accept_hdr_async, client_async,
    tungstenite::handshake::server::{ErrorResponse, Request, Response},
};

use crate::messages::Messages;

/// Where the server takes WebSockets; any other path is not found.
pub(crate) const PATH: &str = "/tunnel";
const STREAMS: u64 = 20;
const BYTES: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let run = async { timeout(LIMIT, run()).await.context("no end in time")? };
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let origin = TcpListener::bind("127.0.0.1:0").await?;
    let front = TcpListener::bind("127.0.0.1:0").await?;
    let (server, cdn) = (origin.local_addr()?, front.local_addr()?);
    let mut listener = Listener::builder().start(origin, accept);
    let sessions = listener.handle();
    tokio::spawn(async move {
        while let Some(stream) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    tokio::spawn(cdn::forward(front, server));

    ensure!(
        connect(server, "/else").await.is_err(),
        "a path that does not exist was found"
    );
    let pool = Pool::new(move || connect(cdn, PATH));
    let mut checks = JoinSet::new();
    for number in 0..STREAMS {
        checks.spawn(check(pool.open().await?, number));
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    let stats = pool.stats();
    println!(
        "{STREAMS} streams over {} WebSocket: {} bytes went each way and are the same",
        stats.sessions_connected,
        STREAMS * BYTES as u64
    );
    pool.close().await;
    sessions.close().await;
    Ok(())
}

/// The server's side: a session over a connection that asks for a WebSocket.
async fn accept(tcp: TcpStream) -> Result<Session> {
    tcp.set_nodelay(true)?;
    let socket = accept_hdr_async(tcp, only_path).await?;
    Ok(Session::server(Messages::new(socket), Config::v2()))
}

#[allow(
    clippy::result_large_err,
    reason = "the type of tungstenite's callback"
)]
fn only_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == PATH {
        return Ok(response);
    }
    let mut refused = ErrorResponse::new(None);
    *refused.status_mut() = http::StatusCode::NOT_FOUND;
    Err(refused)
}

/// The client's side. With TLS, `tls.connect(…)` goes around the TCP connection, and the URL begins
/// with `wss`.
async fn connect(to: SocketAddr, path: &'static str) -> Result<Session> {
    let tcp = TcpStream::connect(to).await?;
    tcp.set_nodelay(true)?;
    let (socket, _) = client_async(format!("ws://{to}{path}"), tcp).await?;
    Ok(Session::client(Messages::new(socket), Config::v2()))
}

async fn echo(stream: Stream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    reader.copy_to(&mut writer).await?;
    writer.shutdown().await
}

/// Sends data and compares what comes back.
async fn check(stream: Stream, number: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut data = vec![0; BYTES];
    random.fill(&mut data);
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        writer.write_all(&data).await?;
        writer.shutdown().await
    };
    let mut answer = Vec::new();
    tokio::try_join!(send, reader.read_to_end(&mut answer))?;
    ensure!(answer == data, "stream {number}: other bytes came back");
    Ok(())
}
