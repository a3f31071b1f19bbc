//! A writer that never stops, and a reader that pauses.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::KIB;
use crate::{
    ends::Ends,
    mux::{Mux, Stream},
    runtime::Tokio,
};

const READS: Duration = Duration::from_millis(300);
const PAUSES: Duration = Duration::from_millis(100);

/// Both run until the process ends. Needs tokio's timer.
pub(crate) fn start<M: Mux<Runtime = Tokio>>(ends: &Ends<M>) {
    let (client, server) = (ends.client.clone(), ends.server.clone());
    drop(ends.client.spawn::<(), _>(async move {
        let mut stream = client.mux.open().await?;
        let data = vec![0x5a; 32 * KIB];
        loop {
            stream.write_all(&data).await?;
        }
    }));
    drop(
        ends.server
            .spawn(async move { read_and_pause(server.mux.accept().await?).await }),
    );
}

async fn read_and_pause<S: Stream>(mut stream: S) -> Result<()> {
    let mut buf = vec![0; 64 * KIB];
    loop {
        let pause = Instant::now() + READS;
        while Instant::now() < pause {
            if stream.read(&mut buf).await? == 0 {
                return Ok(());
            }
        }
        // The pause itself is what this is about.
        tokio::time::sleep_until((Instant::now() + PAUSES).into()).await;
    }
}
