//! The end that waits: serves smux sessions and raw TCP connections on one port.

use std::time::Duration;

use anyhow::{Context, Result};
use smux_tokio::{CloseReason, Session};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::protocol::{Carries, Request, config};
use crate::report::Progress;
use crate::work;

/// After an error of `accept`, most often a lack of file descriptors: some may be free then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Connections at a time; a measurement has 100 and a session at most.
const MAX_CONNECTIONS: usize = 512;
/// How long a connection may take to say what it carries, and a stream what it asks for.
const HEAD: Duration = Duration::from_secs(10);

/// Serves connections for ever. With `once`: until the first smux session has ended, or a
/// connection failed.
pub(crate) async fn run(listener: TcpListener, once: bool) -> Result<()> {
    // Dropped with this future: nothing keeps running behind the caller's back.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Those beyond wait in the system's queue.
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((tcp, from)) => {
                    connections.spawn(async move {
                        serve_connection(tcp).await.with_context(|| format!("connection from {from}"))
                    });
                }
                Err(error) => {
                    eprintln!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(served) = connections.join_next() => match served? {
                Ok(Carries::Smux(_)) if once => return Ok(()),
                Ok(_) => {}
                Err(error) if once => return Err(error),
                Err(error) => eprintln!("{error:#}"),
            },
        }
    }
}

async fn serve_connection(mut tcp: TcpStream) -> Result<Carries> {
    tcp.set_nodelay(true)?;
    let carries = timeout(HEAD, Carries::read(&mut tcp)).await;
    let carries = carries.context("no header in time: not a quickstart client?")??;
    match carries {
        Carries::OneStream => serve_stream(&mut tcp, None, &Progress::hidden()).await?,
        Carries::Smux(version) => {
            let session = Session::server_tcp(tcp, config(version))?;
            let reason = serve_session(session, Progress::hidden()).await;
            // The client closes when it is done; whatever else ends the session is an error.
            if reason != CloseReason::PeerClosed {
                return Err(reason.into());
            }
        }
    }
    Ok(carries)
}

/// Serves every stream that the other side opens, each in its own task, until the session ends.
pub(crate) async fn serve_session(session: Session, progress: Progress) -> CloseReason {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = session.accept() => match accepted {
                Ok(mut stream) => {
                    let session = session.clone();
                    let progress = progress.clone();
                    streams.spawn(async move {
                        if let Err(error) = serve_stream(&mut stream, Some(&session), &progress).await {
                            eprintln!("stream {}: {error:#}", stream.id());
                        }
                    });
                }
                Err(reason) => return reason,
            },
            Some(_) = streams.join_next() => {}
        }
    }
}

/// Does what the head of the stream asks for. `session` is missing on a raw TCP connection.
async fn serve_stream<S>(
    stream: &mut S,
    session: Option<&Session>,
    progress: &Progress,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = timeout(HEAD, Request::read(stream)).await;
    let request = request.context("no request in time")??;
    match (request, session) {
        (Request::Take, _) => work::take(stream, progress).await,
        (Request::Give { bytes }, _) => work::give(stream, bytes).await,
        (Request::Echo, _) => work::echo(stream).await,
        (Request::Open { streams, bytes }, Some(session)) => {
            push_all(session, streams, bytes, &Progress::hidden()).await?;
            stream.write_u8(1).await?;
            Ok(stream.shutdown().await?)
        }
        (Request::Open { .. }, None) => anyhow::bail!("raw TCP cannot open streams"),
    }
}

/// Opens `streams` streams and moves `bytes` through each, all at the same time.
pub(crate) async fn push_all(
    session: &Session,
    streams: u32,
    bytes: u64,
    progress: &Progress,
) -> Result<()> {
    let mut pushes = JoinSet::new();
    for _ in 0..streams {
        let mut stream = session.open().await?;
        let progress = progress.clone();
        pushes.spawn(async move { work::push(&mut stream, bytes, &progress).await });
    }
    while let Some(pushed) = pushes.join_next().await {
        pushed??;
    }
    Ok(())
}
