//! A server that dials out and is called back, as from behind a firewall.
//!
//! An *agent* connects to a *gateway*. Both show that they know a secret, then the gateway opens
//! streams to the agent, which serves them; every byte is compared. An agent with another secret
//! gets no session. When the session is lost, the agent dials again.
//!
//! | file | job |
//! |---|---|
//! | `auth.rs` | the step before the session |
//! | `agent.rs` | the server: dials, and serves streams |
//! | `gateway.rs` | accepts agents |

mod agent;
mod auth;
mod gateway;

use std::{io, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use smux_tokio::{Session, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use crate::{auth::Secret, gateway::Gateway};

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
    let secret = Secret::new(b"known to both ends");
    let mut gateway = Gateway::start(&secret).await?;

    let stranger = agent::start(gateway.address, &Secret::new(b"a guess"));
    let refused = gateway.agents.recv().await.context("no agent")?;
    let kind = refused.err().map(|error| error.kind());
    ensure!(
        kind == Some(io::ErrorKind::PermissionDenied),
        "an agent with another secret got a session: {kind:?}"
    );
    stranger.close().await;
    println!("an agent with another secret was refused");

    let agent = agent::start(gateway.address, &secret);
    let session = next(&mut gateway).await?;
    call(&session).await?;
    session.abort();
    // It dials again by itself.
    let session = next(&mut gateway).await?;
    call(&session).await?;
    println!("called back over the next session, after the first one was lost");
    session.close().await;
    agent.close().await;
    Ok(())
}

/// The next agent that knows the secret.
async fn next(gateway: &mut Gateway) -> Result<Session> {
    loop {
        // Others may have been on their way.
        if let Ok(session) = gateway.agents.recv().await.context("no agent")? {
            return Ok(session);
        }
    }
}

/// Opens streams to an agent, and compares what it sends back.
async fn call(session: &Session) -> Result<()> {
    let mut checks = JoinSet::new();
    for number in 0..STREAMS {
        checks.spawn(check(session.open().await?, number));
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    println!("{STREAMS} streams to the agent: {BYTES} bytes each way on each are the same");
    Ok(())
}

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
