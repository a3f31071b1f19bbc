//! smux as a stream multiplexer of libp2p, between two swarms over TCP and Noise.
//!
//! One swarm dials the other and opens many streams; each is echoed, and every byte is compared.
//!
//! | file | job |
//! |---|---|
//! | `muxer.rs` | libp2p's traits for a session: the file to copy |
//! | `timer.rs` | tokio's timer for a session |

mod muxer;
mod timer;

use std::{io, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, io::copy, try_join};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, noise,
    swarm::{ConnectionError, SwarmEvent},
    tcp,
};
use libp2p_stream::{Behaviour, Control, IncomingStreams};
use smux_async_std::Config;
use tokio::{task::JoinSet, time::timeout};

use crate::muxer::Smux;

const ECHO: StreamProtocol = StreamProtocol::new("/echo/1.0.0");
const STREAMS: u64 = 100;
const BYTES: usize = 256 << 10;
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
    let (mut server, mut client) = (swarm()?, swarm()?);
    server.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = listening(&mut server).await?;
    let peer = *server.local_peer_id();
    tokio::spawn(serve(server.behaviour().new_control().accept(ECHO)?));
    let serving = tokio::spawn(async move { disconnected(&mut server).await });

    client.dial(address)?;
    connected(&mut client).await?;
    let control = client.behaviour().new_control();
    tokio::select! {
        cause = disconnected(&mut client) => bail!("the connection was lost: {cause:?}"),
        checked = check_all(control, peer) => checked?,
    }
    let bytes = STREAMS * BYTES as u64;
    println!("{STREAMS} streams over one connection: {bytes} bytes went each way and are the same");

    let disconnecting = client.disconnect_peer_id(peer);
    ensure!(disconnecting.is_ok(), "the connection was lost");
    let cause = disconnected(&mut client).await;
    ensure!(cause.is_none(), "closing failed: {cause:?}");
    let cause = serving.await?.context("the server knows no reason")?;
    println!("the server was told: {cause}");
    Ok(())
}

fn swarm() -> Result<Swarm<Behaviour>> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, || {
            Smux(Config::v2())
        })?
        .with_behaviour(|_| Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(LIMIT))
        .build();
    Ok(swarm)
}

async fn listening(swarm: &mut Swarm<Behaviour>) -> Result<Multiaddr> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
            SwarmEvent::ListenerClosed { reason, .. } => reason?,
            _ => {}
        }
    }
}

async fn connected(swarm: &mut Swarm<Behaviour>) -> Result<()> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
}

/// Drives a swarm until its connection has ended, and returns what ended it.
async fn disconnected(swarm: &mut Swarm<Behaviour>) -> Option<ConnectionError> {
    loop {
        if let SwarmEvent::ConnectionClosed { cause, .. } = swarm.select_next_some().await {
            return cause;
        }
    }
}

async fn serve(mut streams: IncomingStreams) {
    while let Some((_peer, stream)) = streams.next().await {
        tokio::spawn(echo(stream));
    }
}

async fn echo(stream: Stream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    copy(reader, &mut writer).await?;
    writer.close().await
}

async fn check_all(mut control: Control, peer: PeerId) -> Result<()> {
    let mut checks = JoinSet::new();
    for number in 0..STREAMS {
        checks.spawn(check(control.open_stream(peer, ECHO).await?, number));
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    Ok(())
}

/// Sends data and compares what comes back.
async fn check(stream: Stream, number: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut data = vec![0; BYTES];
    random.fill(&mut data);
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(&data).await?;
        writer.close().await
    };
    let mut answer = Vec::new();
    try_join!(send, reader.read_to_end(&mut answer))?;
    ensure!(answer == data, "stream {number}: other bytes came back");
    Ok(())
}
