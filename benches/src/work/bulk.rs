//! One direction as fast as it goes: every stream writes until the deadline, then ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::{StreamExt, channel::mpsc};

use super::{KIB, until::Until};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

pub(super) struct Sent {
    pub(super) bytes: u64,
    /// From the opening of the first stream to the last end of a stream.
    pub(super) time: Duration,
}

pub(super) async fn run<M: Mux>(
    ends: &Ends<M>,
    streams: usize,
    write: usize,
    read: usize,
    phases: [Duration; 2],
) -> Result<Sent> {
    let (ended, mut counts) = mpsc::unbounded();
    // It ends with the process.
    drop(
        ends.server
            .spawn(read_all(ends.server.clone(), read, ended)),
    );

    let mut sent = None;
    for time in phases {
        let data: Arc<[u8]> = vec![0x5a; write].into();
        let start = Instant::now();
        let writers: Vec<_> = (0..streams)
            .map(|_| {
                let (client, data) = (ends.client.clone(), Arc::clone(&data));
                ends.client.spawn(async move {
                    let stream = client.mux.open().await?;
                    write_until(stream, data, start + time).await
                })
            })
            .collect();
        for writer in writers {
            writer.await.context("writing")?;
        }
        let mut bytes = 0;
        for _ in 0..streams {
            bytes += counts.next().await.context("the accepting end is gone")??;
        }
        sent = Some(Sent {
            bytes,
            time: start.elapsed(),
        });
    }
    sent.context("no phase")
}

async fn write_until<S: Stream>(mut stream: S, data: Arc<[u8]>, deadline: Instant) -> Result<()> {
    let mut until = Until::new(deadline, if data.len() < KIB { 64 } else { 1 });
    while !until.passed() {
        stream.write_all(&data).await?;
    }
    stream.finish().await?;
    stream.close().await
}

/// Reads whatever is opened, each stream in a task of its own, and tells how many bytes it carried.
async fn read_all<M: Mux>(
    end: End<M>,
    size: usize,
    ended: mpsc::UnboundedSender<Result<u64>>,
) -> Result<()> {
    loop {
        let stream = end.mux.accept().await?;
        let ended = ended.clone();
        drop(end.spawn(async move {
            ended.unbounded_send(count(stream, size).await)?;
            Ok(())
        }));
    }
}

async fn count<S: Stream>(mut stream: S, size: usize) -> Result<u64> {
    let mut buf = vec![0; size];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buf).await.context("reading")? {
            0 => break,
            n => bytes += n as u64,
        }
    }
    stream.close().await?;
    Ok(bytes)
}
